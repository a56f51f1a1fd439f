"""What is counted, for listeners, pools, groups and backends: as scripts read it."""

from __future__ import annotations

import os

import pytest

from fairlead.testing import FakeBackend
from harness.balancer import Balancer, loopback, run, wait_for
from harness.config import site, table

KINDS = {"requests", "failures", "bytes_in", "bytes_out"}


@pytest.fixture
def one():
    with FakeBackend("one") as backend:
        yield backend


@pytest.fixture
def two():
    with FakeBackend("two") as backend:
        yield backend


def _ask(balancer: Balancer, listen: str, times: int) -> None:
    line = balancer.connect(listen)
    assert [line.get().status for _ in range(times)] == [200] * times


def _pool(balancer: Balancer):
    return balancer.status()["pools"][0]


def test_pool_and_groups_have_the_sums_of_their_backends(fairlead, one, two) -> None:
    listen = loopback()
    # A hedge would be one request more; a busy machine is late enough for one.
    config = site(
        listen, one.address, table(two.address, group=1), pool='retry = { hedge = "off" }'
    )
    balancer = fairlead(config=config)
    _ask(balancer, listen, 20)
    pool = wait_for(lambda: (pool := _pool(balancer))["requests"] == 20 and pool)

    assert [group["group"] for group in pool["groups"]] == [0, 1]
    assert [group["requests"] for group in pool["groups"]] == [20, 0]
    assert [group["available"] for group in pool["groups"]] == [1, 1]
    assert (pool["available"], pool["failures"]) == (2, 0)
    assert pool["bytes_in"] == sum(row["bytes_in"] for row in pool["backends"]) > 0


def test_groups_have_the_policies_that_they_pick_by(fairlead, one, two) -> None:
    groups = 'groups = [{ group = 1, policy = "hash" }]'
    backends = (one.address, table(two.address, group=1))
    balancer = fairlead(config=site(loopback(), *backends, pool=groups))

    assert [group["policy"] for group in _pool(balancer)["groups"]] == ["round-robin", "hash"]
    shown = run("status", env={**os.environ, "XDG_RUNTIME_DIR": str(balancer.runtime)}).stdout
    rows = [line.split()[:3] for line in shown.splitlines() if line.startswith("app ")]
    assert rows[:2] == [["app", "0", "round-robin"], ["app", "1", "hash"]]


def _passed(balancer: Balancer) -> dict[str, tuple[int, int]]:
    """Bytes in and out: of the listener, the pool, its group and its backend."""
    status = balancer.status()
    pool = status["pools"][0]
    rows = {
        "listener": status["listeners"][0],
        "pool": pool,
        "group": pool["groups"][0],
        "backend": pool["backends"][0],
    }
    return {name: (row["bytes_in"], row["bytes_out"]) for name, row in rows.items()}


@pytest.mark.parametrize(("body", "answer"), [(50_000, 100), (100, 50_000)])
def test_bytes_in_are_those_that_came_in(fairlead, one, body: int, answer: int) -> None:
    """At a listener from clients, at a pool and a backend from the backend."""
    one.answer(body=b"x" * answer)
    listen = loopback()
    balancer = fairlead(config=site(listen, one.address))
    with balancer.connect(listen) as line:
        head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {body}\r\n\r\n"
        assert line.ask(head + "x" * body, to="POST").status == 200
    passed = wait_for(lambda: (seen := _passed(balancer)) and min(map(min, seen.values())) and seen)

    from_client, to_client = passed.pop("listener")
    assert body < from_client < body + 1_000
    assert answer < to_client < answer + 1_000
    for name, (from_backend, to_backend) in passed.items():
        assert answer < from_backend < answer + 1_000, name
        assert body < to_backend < body + 1_000, name


def test_bytes_of_a_tcp_connection_are_counted_while_it_lasts(fairlead, backend) -> None:
    def play(line) -> None:
        line.read(5)
        line.send(b"welcome")
        line.read_to_end()

    listen = loopback()
    balancer = fairlead(config=site(listen, backend(play), protocol="tcp"))
    with balancer.connect(listen) as line:
        line.send(b"hello")
        assert line.read(7) == b"welcome"
        wait_for(lambda: set(list(_passed(balancer).values())[1:]) == {(7, 5)})


def test_quantiles_are_in_order_and_rates_follow_the_traffic(fairlead, one) -> None:
    listen = loopback()
    balancer = fairlead(config=site(listen, one.address))
    _ask(balancer, listen, 50)

    def counted():
        status = balancer.status()
        backend, listener = status["pools"][0]["backends"][0], status["listeners"][0]
        both = (backend["rates"], listener["rates"])
        return all(rates["requests"]["60s"] > 0 for rates in both) and (backend, listener)

    backend, listener = wait_for(counted)
    for times in (backend["latency_ms"], listener["duration_ms"]):
        assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["p999"]
    assert set(backend["rates"]) == set(listener["rates"]) == KINDS
    assert listener["rates"]["bytes_out"]["60s"] > 0
    # The short window has forgotten what the long one remembers.
    rates = wait_for(lambda: not (rates := _pool(balancer)["rates"]["requests"])["1s"] and rates)
    assert rates["60s"] > 0


def test_failures_are_told_by_reason_and_so_is_what_followed_them(fairlead, one, two) -> None:
    one.reset()
    listen = loopback()
    balancer = fairlead(config=site(listen, one.address, two.address))
    _ask(balancer, listen, 4)
    pool = wait_for(lambda: (pool := _pool(balancer))["failures"] and pool)

    failed = pool["failures_by_reason"]
    assert set(failed) == {"backend_reset"}
    assert pool["retries_by_reason"]["backend_reset"] == failed["backend_reset"] == pool["failures"]
    rows = {row["address"]: row for row in pool["backends"]}
    assert rows[one.address]["failures_by_reason"] == failed
    assert rows[two.address]["failures_by_reason"] == {}


def test_a_wrong_answer_is_a_failure_with_a_reason_of_its_own(fairlead, one, two) -> None:
    one.answer(status=500)
    listen = loopback()
    balancer = fairlead(config=site(listen, one.address, two.address))
    _ask(balancer, listen, 4)
    pool = wait_for(lambda: (pool := _pool(balancer))["failures"] and pool)

    assert set(pool["failures_by_reason"]) == {"wrong_answer"}
    opinions = pool["steps"]["second_opinions"]
    assert opinions["asked"] == opinions["better"] == pool["failures"]


def test_a_late_answer_shows_as_a_hedge_that_won(fairlead, one, two) -> None:
    one.slow(0.8)
    listen = loopback()
    balancer = fairlead(config=site(listen, one.address, two.address))
    _ask(balancer, listen, 4)

    hedges = wait_for(lambda: (steps := _pool(balancer)["steps"]["hedges"])["won"] and steps)
    assert hedges["sent"] >= hedges["won"]


def test_history_has_the_last_changes_with_their_reasons(fairlead, one, two) -> None:
    check = 'type = "tcp", interval = "100ms", fall = 2, rise = 2'
    balancer = fairlead(config=site(loopback(), one.address, two.address, check=check))
    balancer.wait_for_health(one.address, "healthy")
    one.refuse()
    balancer.wait_for_health(one.address, "down")
    path = f"/v1/pools/app/backends/{one.address}"
    assert balancer.api("PATCH", path, {"state": "draining"})[0] == 200
    history = balancer.backends()[one.address]["history"]

    assert [(row["from"], row["to"]) for row in history] == [
        ("unknown", "healthy"),
        ("healthy", "suspect"),
        ("suspect", "down"),
        ("enabled", "draining"),
    ]
    assert "connect refused" in history[2]["why"]
    assert history[3]["why"] == "asked for"
    times = [row["time"] for row in history]
    assert times == sorted(times)
