"""Requests on kept connections to a host that has just died: seen by what it doesn't acknowledge.

No connect shows it, and the time-outs are seconds away. The kernel knows within 50 ms.
"""

from __future__ import annotations

import threading
import time

import pytest

from harness.backend import keeping, response, saying
from harness.balancer import loopback
from harness.config import site
from harness.line import dial
from harness.standstill import Standstill

pytestmark = pytest.mark.root

NO_CHECK = 'type = "none"'


def upload(method: str, size: int) -> bytes:
    """A request with a body."""
    head = f"{method} /a HTTP/1.1\r\nHost: app\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + b"x" * size


def suspicions(balancer) -> list[str]:
    """Why backends were suspected, oldest first."""
    events = (event for event in balancer.events() if event["event"] == "health")
    return [event["why"] for event in events if event["to"] == "suspect"]


@pytest.fixture
def two(fairlead, backend, host):
    """Two hosts that swallow on demand, nobody probes them, and eight lines with kept links."""
    hosts = host(), host()
    names = zip("ab", hosts, strict=True)
    backends = [backend(saying(name), here.listener()) for name, here in names]
    listen = loopback()
    balancer = fairlead(config=site(listen, *backends, check=NO_CHECK))
    lines = [dial(listen) for _ in range(8)]
    for _ in range(4):
        # All at once, so that each line's request has a connection of its own.
        for line in lines:
            line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
        for line in lines:
            assert line.read_response().status == 200
    return balancer, hosts, lines


@pytest.mark.alone  # its bounds are what is promised
@pytest.mark.parametrize("request_bytes", [upload("PUT", 60_000), upload("DELETE", 10)])
def test_a_put_or_delete_under_way_moves_within_half_a_second(two, request_bytes) -> None:
    balancer, hosts, lines = two
    hosts[0].swallow()
    with Standstill() as still:
        started = time.monotonic()
        for line in lines:
            line.send(request_bytes)
        for line in lines:
            assert line.read_response().body == b"b"
        took = time.monotonic() - started
    # Sent again in vain after some 210 ms, then elsewhere. A busy machine gets twice that.
    assert took < 0.9 + still.longest, took
    steps = balancer.status()["pools"][0]["steps"]
    assert steps["moved"]["unacknowledged"] >= 1
    assert steps["unacknowledged"]["suspected"] >= steps["moved"]["unacknowledged"]
    assert suspicions(balancer) != []


@pytest.mark.alone  # its bounds are what is promised
def test_a_get_is_hedged_as_soon_as_it_is_suspicious(two) -> None:
    balancer, hosts, lines = two
    hosts[0].swallow()
    with Standstill() as still:
        started = time.monotonic()
        for line in lines:
            line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
        for line in lines:
            assert line.read_response().body == b"b"
        took = time.monotonic() - started
    assert took < 0.4 + still.longest, took
    assert suspicions(balancer) != []
    assert balancer.status()["pools"][0]["steps"]["unacknowledged"]["suspected"] >= 1
    # Whoever asks next doesn't notice at all.
    slowest = 0.0
    with Standstill() as still:
        for line in lines:
            started = time.monotonic()
            assert line.get().body == b"b"
            slowest = max(slowest, time.monotonic() - started)
    assert slowest < 0.05 + still.longest, slowest


def test_a_live_host_that_is_slow_is_not_suspected_by_its_silence_alone(
    fairlead, backend, host
) -> None:
    """Nearly half a second without an answer; the kernel acknowledges all the same."""
    one, other = host(), host()

    def slow(_: object) -> bytes:
        time.sleep(0.4)
        return response(b"slow")

    backends = [backend(keeping(slow), here.listener()) for here in (one, other)]
    listen = loopback()
    balancer = fairlead(config=site(listen, *backends, check=NO_CHECK))
    lines = [dial(listen) for _ in range(6)]
    for line in lines:
        line.send(upload("PUT", 1_000))
    for line in lines:
        assert line.read_response().status == 200
    assert suspicions(balancer) == []
    assert balancer.status()["pools"][0]["steps"]["unacknowledged"]["suspected"] == 0


@pytest.mark.alone  # its bounds are what is promised
def test_a_tcp_connection_that_goes_black_keeps_new_ones_away(fairlead, backend, host) -> None:
    one, other = host(), host()

    def named(name: bytes):
        def play(line) -> None:
            while line.read_some():
                line.send(name)

        return play

    first = backend(named(b"a"), one.listener())
    second = backend(named(b"b"), other.listener())
    listen = loopback()
    balancer = fairlead(config=site(listen, first, second, protocol="tcp", check=NO_CHECK))
    held = []
    for _ in range(4):
        line = dial(listen)
        line.send(b"?")
        held.append((line, line.read(1)))
    assert {name for _, name in held} == {b"a", b"b"}

    one.swallow()
    for line, name in held:
        if name == b"a":
            line.send(b"?")
    deadline = time.monotonic() + 5
    while not suspicions(balancer) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "unacknowledged for" in suspicions(balancer)[0]
    slowest = 0.0
    with Standstill() as still:
        for _ in range(6):
            started = time.monotonic()
            with dial(listen) as line:
                line.send(b"?")
                assert line.read(1) == b"b"
            slowest = max(slowest, time.monotonic() - started)
    assert slowest < 0.05 + still.longest, slowest


def test_a_post_to_a_host_whose_answers_are_lost_is_executed_once(fairlead, backend, host) -> None:
    one, other = host(), host()
    executed: list[str] = []
    lock = threading.Lock()

    def answer(request) -> bytes:
        with lock:
            executed.append(request.body.decode())
        return response(b"ok")

    backends = [backend(keeping(answer), here.listener()) for here in (one, other)]
    listen = loopback()
    pool = 'timeouts = { response = "1s" }'
    fairlead(config=site(listen, *backends, check=NO_CHECK, pool=pool))
    lines = [dial(listen) for _ in range(10)]
    for number, line in enumerate(lines):
        body = f"{number:06d}"
        line.send(f"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 6\r\n\r\n{body}")
    for line in lines:
        assert line.read_response().status == 200
    one.mute()
    for number, line in enumerate(lines, 10):
        body = f"{number:06d}"
        line.send(f"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 6\r\n\r\n{body}")
    statuses = [line.read_response().status for line in lines]
    assert statuses.count(200) + statuses.count(504) == 10, statuses
    assert len(executed) == len(set(executed))
