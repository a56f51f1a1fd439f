"""Clients that send or take next to nothing are cut off, those that only seem to are not.

The half minute of a body that drips is `long`: `dialogues/slow.rs` has the same, event by event.
"""

from __future__ import annotations

import socket
import time

import pytest

from harness.backend import keeping, response
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.line import Line

BIG = b"x" * (8 << 20)


@pytest.fixture
def before_big(fairlead, backend):
    """A listener with these lines before a backend whose answers are 8 MiB."""

    def start(listener: str):
        listen = loopback()
        one = backend(keeping(lambda _: response(BIG)))
        return fairlead(config=site(listen, one, listener=listener)), listen, one

    return start


def reader(listen: str, buffer: int = 16_384) -> Line:
    """A client that has asked, and whose kernel takes little for it."""
    host, _, port = listen.rpartition(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.connect((host, int(port)))
    line = Line(sock)
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    return line


def test_who_takes_nothing_of_its_answer_is_cut_off(before_big) -> None:
    balancer, listen, one = before_big('timeouts = { idle = "1s" }')
    line = reader(listen)

    balancer.wait_for_reason("client_slow")
    wait_for(lambda: balancer.listener()["connections_active"] == 0)
    assert balancer.backends()[one.address]["health"] in ("healthy", "unknown")
    with pytest.raises(ConnectionResetError):
        line.read_to_end()


def test_who_takes_less_than_the_least_is_cut_off(before_big) -> None:
    balancer, listen, _ = before_big('timeouts = { idle = "1s" }\nlimits = { min_rate = "64KiB" }')
    line = reader(listen)
    end = time.monotonic() + 8
    while time.monotonic() < end and _takes(line, 1024):
        time.sleep(0.05)

    balancer.wait_for_reason("client_slow")


def test_a_slow_download_goes_on_however_long_it_takes(before_big) -> None:
    """Three times the idle time, while what we hold never gets less than it is at most."""
    balancer, listen, _ = before_big('timeouts = { idle = "1s" }')
    line = reader(listen, 65_536)
    got = 0
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        got += len(line.socket.recv(8192))
        time.sleep(0.05)
    while got < len(BIG):
        got += len(line.socket.recv(1 << 20))

    assert balancer.listener()["reasons"] == {}


def test_what_is_held_for_slow_readers_is_little(before_big) -> None:
    balancer, listen, _ = before_big("")
    reader(listen).close()
    before = balancer.resident_bytes()
    lines = [reader(listen) for _ in range(40)]
    wait_for(lambda: balancer.listener()["connections_active"] == 40)
    time.sleep(1)

    # Of each: one receive buffer, and the heads.
    assert balancer.resident_bytes() - before < 40 * 256 * 1024
    for line in lines:
        line.reset()
    wait_for(lambda: balancer.listener()["connections_active"] == 0)


def _takes(line: Line, most: int) -> bool:
    try:
        return bool(line.socket.recv(most))
    except ConnectionResetError:
        return False


@pytest.mark.long
@pytest.mark.timeout(60)
def test_a_body_that_drips_is_cut_off_after_half_a_minute(fairlead, backend) -> None:
    listen = loopback()
    one = backend(keeping(lambda request: response(request.body)))
    balancer = fairlead(config=site(listen, one))
    line = balancer.connect(listen)
    line.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 100000\r\n\r\n")
    started = time.monotonic()
    while time.monotonic() - started < 50 and line.is_silent(0.5):
        line.send("x")
    answer = line.read_response()

    assert (answer.status, answer.reason) == (408, "client_slow")
    assert 29 < time.monotonic() - started < 36
    assert balancer.backends()[one.address]["health"] in ("healthy", "unknown")
