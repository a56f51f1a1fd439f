"""The interpreter's lock is held: signals are heeded, as far as that goes without Python."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.balancer import wait_for
from harness.held import Held
from harness.line import Line, dial, refuses
from harness.service_manager import Manager

PATIENCE = 1.0
"""Seconds that Python has to heed a signal."""
GRACE = 2.0
"""Seconds for which any stop listens to kept connections."""
SPARE = 1.0
"""Seconds that a busy machine may add."""


def connected(listen: str) -> Line | None:
    """A connection, if somebody listens there already."""
    try:
        return dial(listen)
    except ConnectionRefusedError:
        return None


def slow(held: Held) -> Line:
    """A connection with a request under way, which is answered when `go` is set."""
    line = held.balancer.connect(held.other)
    line.send("GET /slow HTTP/1.1\r\nHost: app\r\n\r\n")
    backends = (held.ill.backend, held.well.backend)
    wait_for(lambda: any(each.target == "/slow" for one in backends for each in one.requests))
    return line


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_needs_no_python(holding, tmp_path: Path, number: signal.Signals) -> None:
    """As any stop: no new clients, what is under way is finished, nothing stays, exit code 0."""
    log = tmp_path / "access.log"
    held = holding(f'access_log = "{log}"\n')
    balancer = held.balancer
    line = slow(held)
    held.hold()
    began = time.monotonic()
    balancer.signal(number)
    wait_for(lambda: refuses(held.other) and refuses(held.listen))
    assert PATIENCE * 0.9 < time.monotonic() - began < PATIENCE * 2
    code, health = balancer.api("GET", "/healthz")
    assert (code, health["status"]) == (503, "stopping")

    held.go()
    answer = line.read_response()
    assert (answer.status, answer.body, answer.value("Connection")) == (200, b"hello", "close")
    answered = time.monotonic()
    assert balancer.wait() == 0
    assert time.monotonic() - answered < GRACE + PATIENCE + SPARE, "the last of it Python's"

    assert not held.control.exists()
    written = [json.loads(each) for each in log.read_text().splitlines()]
    assert [each["path"] for each in written].count("/slow") == 1
    said = "\n".join(balancer.output)
    assert f"fairlead: {number.name}: Python is stuck" in said, said
    assert "fairlead: stopped without Python" in said, said


@pytest.mark.alone
def test_what_is_left_after_the_timeout_is_cut(holding) -> None:
    held = holding('shutdown_timeout = "1s"\n')
    line = slow(held)
    held.hold()
    began = time.monotonic()
    held.balancer.signal(signal.SIGTERM)

    assert held.balancer.wait() == 0
    assert time.monotonic() - began < PATIENCE + 1 + PATIENCE + SPARE
    assert line.is_closed()
    held.balancer.wait_for_output("connections that were left were cut")


@pytest.mark.alone
def test_a_second_interrupt_does_not_wait(held) -> None:
    line = slow(held)
    held.hold()
    held.balancer.signal(signal.SIGINT)
    wait_for(lambda: refuses(held.other))
    began = time.monotonic()
    held.balancer.signal(signal.SIGTERM)
    assert not line.is_closed(0.3), "as ever, TERM is no second interrupt"
    held.balancer.signal(signal.SIGINT)

    assert held.balancer.wait() == 130
    assert time.monotonic() - began < PATIENCE
    assert not held.control.exists()
    held.balancer.wait_for_output("interrupted again")


def test_python_that_comes_back_goes_on_with_the_stop(held) -> None:
    line = slow(held)
    held.hold()
    held.balancer.signal(signal.SIGTERM)
    wait_for(lambda: refuses(held.other))
    held.release()
    held.balancer.wait_for_output("SIGTERM: finishing what is under way, taking nothing new")
    held.go()

    assert line.read_response().status == 200
    assert held.balancer.wait() == 0
    assert held.balancer.output[-1] == "fairlead: stopped"


@pytest.mark.alone
def test_python_that_gets_stuck_during_a_stop_does_not_keep_it(held) -> None:
    """A request that crosses the stop on its way may be what it is stuck at."""
    waiting = slow(held)
    line = held.balancer.connect(held.listen)
    line.send("GET / HTTP/1.1\r\n")
    held.balancer.signal(signal.SIGTERM)
    wait_for(lambda: refuses(held.listen))
    line.send("Host: app\r\n\r\n")
    assert line.read_response().status == 200
    held.wait_held()
    began = time.monotonic()
    held.go()

    assert waiting.read_response().status == 200
    assert held.balancer.wait() == 0
    assert time.monotonic() - began < GRACE + PATIENCE + SPARE
    assert not held.control.exists()


def test_python_may_be_stuck_at_the_very_first_request(fairlead, backend) -> None:
    """As when a policy goes wrong and is restarted while clients come."""
    held = Held(fairlead, backend, ready=False, fresh=True)
    line = wait_for(lambda: connected(held.listen), 15)
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    assert line.read_response().status == 200
    held.wait_held()
    line.close()

    assert held.is_stuck(), "operators are answered"
    assert held.balancer.stop() == 0


def test_a_reload_waits_for_python_and_says_so(held) -> None:
    held.hold()
    held.balancer.signal(signal.SIGHUP)
    held.balancer.wait_for_output("SIGHUP: Python is stuck, the reload waits for it")
    held.release()
    held.balancer.wait_for_output("reloaded: 0 changes")
    assert sum("SIGHUP" in line for line in held.balancer.output) == 1

    held.balancer.signal(signal.SIGHUP)
    wait_for(lambda: sum("reloaded" in line for line in held.balancer.output) == 2)
    assert held.balancer.stop() == 0
    assert sum("stuck" in line for line in held.balancer.output) == 1, "not when it is there"


@pytest.fixture
def manager() -> Iterator[Manager]:
    """A parent that plays systemd."""
    with contextlib.closing(Manager()) as made:
        yield made


def test_the_service_manager_is_told(holding, manager) -> None:
    held = holding(environment=manager.environment())
    line = slow(held)
    held.hold()
    held.balancer.signal(signal.SIGTERM)

    assert manager.hear("STOPPING")["STATUS"].startswith("SIGTERM: ")
    held.go()
    assert line.read_response().status == 200
    assert held.balancer.wait() == 0
