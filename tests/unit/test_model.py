"""Views on what a running fairlead says."""

from datetime import UTC, datetime

import pytest

from fairlead.model import Backend, Pool, Status

ROW = {
    "address": "10.0.0.1:80",
    "group": 1,
    "weight": 3,
    "state": "enabled",
    "health": "suspect",
    "reason": "check: connect refused",
    "since": "2026-11-21T12:00:00.500Z",
    "active": 2,
    "requests": 10,
    "failures": 1,
    "latency_ms": {"p50": 1.5, "p99": None},
    "something_new": True,
}


def test_a_backend_reads_its_row():
    backend = Backend.from_json("app", ROW)
    assert (backend.pool, backend.address, backend.group, backend.weight) == (
        "app",
        "10.0.0.1:80",
        1,
        3,
    )
    assert backend.since == datetime(2026, 11, 21, 12, 0, 0, 500_000, UTC)
    assert (backend.latency_ms.p50, backend.latency_ms.p99) == (1.5, None)


@pytest.mark.parametrize(
    ("change", "available"),
    [
        ({}, True),
        ({"health": "down"}, False),
        ({"health": "unknown"}, True),
        ({"state": "draining"}, False),
        ({"weight": 0}, False),
    ],
)
def test_who_is_available(change, available):
    assert Backend.from_json("app", ROW | change).available is available


def test_what_an_older_one_leaves_out_is_empty():
    backend = Backend.from_json("app", {"address": "a:1", "reason": None, "since": None})
    assert (backend.health, backend.reason, backend.since) == ("unknown", "", None)
    assert Pool.from_json({"name": "app"}).backends == ()


def test_status_has_listeners_and_pools():
    status = Status.from_json(
        {
            "time": "2026-11-21T12:00:00Z",
            "workers": 2,
            "listeners": [{"name": "web", "bind": ["127.0.0.1:80"], "codes": {"200": 3}}],
            "pools": [{"name": "app", "policy": "random", "backends": [ROW]}],
        }
    )
    assert status.listeners[0].codes == {"200": 3}
    assert status.pool("app").backends[0].health == "suspect"
    assert status.pool("other") is None
