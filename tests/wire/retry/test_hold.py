"""`retry.hold`: what comes while nobody is there waits, for a while."""

from __future__ import annotations

import threading
import time
from typing import Self

import pytest

from harness.backend import echo, saying
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.line import dial

HOLD = 'retry = { hold = "20s" }'
CHECKS = ['type = "none"', 'type = "tcp", interval = "200ms", timeout = "200ms"']


class Load:
    """Clients that ask one after the other, each on a new connection, until told to stop."""

    def __init__(self, ask, clients: int = 8) -> None:
        self.answered, self.failed = 0, []
        self._ask, self._over, self._lock = ask, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._ask()
            except (OSError, AssertionError) as failure:
                with self._lock:
                    self.failed.append(failure)
            else:
                with self._lock:
                    self.answered += 1
            time.sleep(0.005)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_the_only_backend_restarts_and_nobody_notices(
    fairlead, backend, protocol: str, check: str
) -> None:
    only = backend(saying("hi") if protocol == "http" else echo)
    listen = loopback()
    balancer = fairlead(config=site(listen, only, protocol=protocol, check=check, pool=HOLD))

    def ask() -> None:
        with dial(listen) as line:
            if protocol == "http":
                answer = line.get()
                assert answer.status == 200, answer.reason
            else:
                line.send(b"x")
                assert line.read(1) == b"x"

    with Load(ask) as load:
        wait_for(lambda: load.answered > 50)
        only.refuse()
        only.cut()
        before = load.answered
        wait_for(lambda: waiting(balancer) >= 8)
        time.sleep(0.5)
        assert load.answered - before < 20, "nobody answers"
        only.listen_again()
        back = time.monotonic()
        wait_for(lambda: load.answered > before + 100)
        assert time.monotonic() - back < 3

    if protocol == "http":
        assert load.failed == []
    else:
        # Who had been taken, or waited to be accepted, goes down with the process.
        assert len(load.failed) <= 8, load.failed
    steps = balancer.status()["pools"][0]["steps"]["holds"]
    assert steps["served"] >= 8
    assert (steps["expired"], steps["refused"]) == (0, 0)
    wait_for(lambda: [on["holding"] for on in told(balancer)].count(False) >= 1)
    assert told(balancer)[0]["holding"] is True


def told(balancer) -> list[dict]:
    """Events about it, oldest first."""
    return [event for event in balancer.events() if event["event"] == "holding"]


def waiting(balancer) -> int:
    """How many wait now."""
    steps = balancer.status()["pools"][0]["steps"]["holds"]
    return steps["begun"] - steps["served"] - steps["expired"] - steps["left"]


def test_a_wait_ends_with_503_and_when_to_try_again(fairlead, backend) -> None:
    only = backend()
    only.refuse()
    listen = loopback()
    fairlead(config=site(listen, only, pool='retry = { hold = "400ms" }'))
    started = time.monotonic()
    answer = dial(listen).get()
    took = time.monotonic() - started

    assert (answer.status, answer.reason) == (503, "connect_refused")
    assert answer.has("retry-after")
    assert 0.35 < took < 2


def test_without_hold_the_answer_comes_at_once(fairlead, backend) -> None:
    only = backend()
    only.refuse()
    listen = loopback()
    fairlead(config=site(listen, only))
    started = time.monotonic()
    assert dial(listen).get().status == 503
    assert time.monotonic() - started < 2


def test_who_leaves_does_not_wait_on(fairlead, backend) -> None:
    only = backend()
    only.refuse()
    listen = loopback()
    balancer = fairlead(config=site(listen, only, pool=HOLD))
    line = dial(listen)
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    wait_for(lambda: waiting(balancer) == 1)
    line.reset()
    wait_for(lambda: waiting(balancer) == 0)
    only.listen_again()
    time.sleep(0.3)
    assert only.requests == []
