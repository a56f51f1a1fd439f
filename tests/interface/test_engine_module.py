"""The native module does what its stub says: types, errors, places."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import _engine
from harness.backend import Backend, saying
from harness.balancer import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUTS = {"head": 10_000, "body": 30_000, "idle": 60_000, "tunnel": 3_600_000}
LIMITS = {
    "head": 65_536,
    "headers": 128,
    "body": None,
    "connections": 1000,
    "trailers": 32,
    "trailer_bytes": 8_192,
    "chunk_line": 256,
    "chunk_excess": 16_384,
}


def plan_for(*backends: str) -> dict[str, Any]:
    listener = {
        "name": "web",
        "bind": [{"tcp": "127.0.0.1:0"}],
        "protocol": "http",
        "pool": 0,
        "routes": [],
        "timeouts": TIMEOUTS,
        "limits": LIMITS,
        "trusted_proxies": [],
    }
    backend = {"weight": 1, "group": 0, "max_connections": None, "state": "enabled"}
    check = {"interval": 2000, "fast_interval": 200, "timeout": 1000, "rise": 2, "fall": 3}
    retry = {"attempts": 3, "same_backend": 1, "delay": 0, "hedge": True, "budget": 200, "hold": 0}
    pool = {
        "name": "app",
        "policy": "round-robin",
        "hash_on": "source_ip",
        "backends": [
            backend | {"address": address, "endpoints": [{"tcp": address}]} for address in backends
        ],
        "check": check | {"kind": "tcp"},
        "timeouts": {"connect": 1000, "response": 30_000, "idle": 30_000, "keepalive": 60_000},
        "retry": retry,
        "outlier": {"max_ejected": 5000, "latency": True},
        "slow_start": 10_000,
        "source": None,
    }
    return {"listeners": [listener], "pools": [pool], "shutdown_timeout": 1000}


@pytest.fixture
def backend() -> Iterator[str]:
    with closing(Backend(saying("hello"))) as backend:
        yield backend.address


@pytest.fixture
def engine(backend: str) -> Iterator[_engine.Engine]:
    engine = _engine.Engine(1)
    engine.apply(json.dumps(plan_for(backend)).encode())
    yield engine
    engine.stop(0)


def test_a_plan_is_served_and_shown(engine: _engine.Engine, backend: str) -> None:
    assert engine.wait_first_checks(5)
    engine.start_accepting()
    [(name, address)] = engine.addresses()
    with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
        assert b"hello" in answer.read()
    # The client has its answer before it is counted.
    status = wait_for(lambda: _counted(engine))
    [row] = status["pools"][0]["backends"]

    assert name == "web"
    assert status["listeners"][0]["bind"] == [address]
    assert row["address"] == backend
    assert (row["state"], row["health"], row["requests"]) == ("enabled", "healthy", 1)


def _counted(engine: _engine.Engine) -> dict[str, Any] | None:
    """The status, once a request is in it."""
    status: dict[str, Any] = json.loads(engine.status())
    [row] = status["pools"][0]["backends"]
    return status if row["requests"] else None


def test_events_wait_until_they_are_taken(engine: _engine.Engine, backend: str) -> None:
    assert engine.set_weight("app", backend, 7)
    readable, _, _ = select.select([engine.event_fd()], [], [], 5)
    events = [json.loads(event) for event in engine.take_events()]

    assert readable
    assert {"applied", "wish"} <= {event["event"] for event in events}
    assert all(event["time"].endswith("Z") for event in events)


def test_what_does_not_exist_is_a_key_error(engine: _engine.Engine, backend: str) -> None:
    with pytest.raises(KeyError):
        engine.set_state("app", "nobody:1", "draining")
    with pytest.raises(KeyError):
        engine.set_weight("nowhere", backend, 1)
    with pytest.raises(KeyError):
        engine.report_check("app", "nobody:1", False, "gone")


def test_values_out_of_range_are_value_errors(engine: _engine.Engine, backend: str) -> None:
    with pytest.raises(ValueError, match="enabled, draining or disabled"):
        engine.set_state("app", backend, "off")
    with pytest.raises(ValueError, match="0 to 256"):
        engine.set_weight("app", backend, 257)
    with pytest.raises(ValueError, match="not a time"):
        engine.wait_first_checks(-1)


def test_an_address_in_use_is_told_and_changes_nothing(
    engine: _engine.Engine, backend: str
) -> None:
    plan = plan_for(backend)
    plan["listeners"][0]["bind"] = [{"tcp": backend}]
    before = engine.addresses()
    with pytest.raises(_engine.EngineError) as caught:
        engine.apply(json.dumps(plan).encode())

    [problem] = json.loads(str(caught.value))
    assert problem == {"listener": "web", "bind": backend, "problem": "address already in use"}
    assert engine.addresses() == before


def test_what_is_no_plan_is_told_in_a_sentence() -> None:
    with pytest.raises(_engine.EngineError, match="not a plan: missing field `listeners`"):
        _engine.Engine(1).apply(b"{}")


def test_toml_has_places_and_all_its_errors() -> None:
    tree, errors = _engine.parse_toml('"é" = 1\n[a.b]\nc = [true, "x"]\nd = oops\nc = 2\n')

    assert tree[0] == "table"
    assert tree[3][0] == ("é", 0, 4, ("integer", 7, 8, 1))
    inner = tree[3][1][3][3][0][3][3]
    assert inner[0] == (
        "c", 15, 16, ("array", 19, 30, [("boolean", 20, 24, True), ("string", 26, 29, "x")])
    )  # fmt: skip
    assert inner[1] == ("d", 31, 32, ("broken", 35, 39, None))
    assert errors == [
        (35, 39, "text must stand in quotes"),
        (40, 41, "`c` is defined twice, first in line 3"),
    ]


def test_regular_expressions_are_checked() -> None:
    assert _engine.check_regex("^/v[0-9]+/") is None
    assert "unclosed group" in (_engine.check_regex("(") or "")


def test_the_stub_is_true() -> None:
    check = [sys.executable, "-m", "mypy.stubtest", "fairlead._engine"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
