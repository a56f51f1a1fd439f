"""`io`: how the kernel is called, what is said of it, and what happens where io_uring is forbidden."""

from __future__ import annotations

import sys

import pytest

from harness import uring
from harness.backend import keeping, response, saying
from harness.balancer import Balancer, loopback, wait_for
from harness.config import site

pytestmark = pytest.mark.skipif(uring.is_wanted(), reason="the option is about what is forced here")

# A filter as a container's: io_uring_setup (425 on all architectures) is answered with EPERM.
FORBIDDEN = """
import ctypes, os, struct, sys
code = (0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)
lines = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(lines))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
"""
INSIDE = [sys.executable, "-c", FORBIDDEN]


@pytest.fixture
def ring():
    """Skips where there is no io_uring."""
    if why := uring.missing():
        pytest.skip(why)


def crowd(balancer: Balancer, clients: int, rounds: int, size: int) -> None:
    """So many clients at once, each with one request after the other, of which all say the same."""
    lines = [balancer.connect() for _ in range(clients)]
    for turn in range(rounds):
        for number, line in enumerate(lines):
            line.send(f"GET /{turn}/{number}/{size} HTTP/1.1\r\nHost: app\r\n\r\n")
        for number, line in enumerate(lines):
            answer = line.read_response()
            assert answer.status == 200
            assert answer.body == f"/{turn}/{number}/{size}".encode().ljust(size, b".")
    for line in lines:
        line.close()


def test_a_ring_is_used_where_there_is_one(http, backend) -> None:
    told = http(backend(saying("hello"))).status()["io"]
    driver = "epoll" if uring.missing() else "uring"
    assert (told["configured"], told["driver"]) == ("auto", driver)


def test_who_wants_none_gets_none(http, backend) -> None:
    status = http(backend(saying("hello")), "--io", "epoll").status()
    assert status["io"] == {"configured": "epoll", "driver": "epoll", "why": None}


@pytest.mark.parametrize("io", ["uring", "auto"])
def test_a_crowd_is_served_in_batches(http, backend, ring, io) -> None:
    def answer(request):
        path = request.start.split()[1]
        return response(path.encode().ljust(int(path.rsplit("/")[-1]), b"."))

    balancer = http(backend(keeping(answer)), "--io", io, "--workers", "1")
    assert balancer.status()["io"] == {"configured": io, "driver": "uring", "why": None}
    for size in (100, 5_000, 100_000):
        crowd(balancer, clients=40, rounds=5, size=size)
    wait_for(lambda: balancer.listener()["connections_active"] == 0)
    assert balancer.listener()["requests_total"] == 600


def test_auto_goes_without_where_it_is_forbidden(fairlead, backend) -> None:
    config = site(loopback(), backend(saying("hello")))
    balancer = fairlead(config=config, inside=INSIDE)
    told = balancer.status()["io"]
    assert (told["configured"], told["driver"]) == ("auto", "epoll")
    assert "forbidden" in told["why"]


def test_who_wants_it_where_it_is_forbidden_is_told_at_the_start(fairlead, backend) -> None:
    config = 'io = "uring"\n' + site(loopback(), backend(saying("hello")))
    balancer = fairlead(config=config, inside=INSIDE, ready=False)
    line = balancer.wait_for_output("io_uring")
    assert '`io = "uring"`' in line and "forbidden" in line
    assert balancer.wait() == 2


def test_a_reload_says_that_it_waits_for_the_next_start(fairlead, backend) -> None:
    listen, one = loopback(), backend(saying("hello"))
    balancer = fairlead(config=site(listen, one))
    code, told = balancer.reload('io = "epoll"\n' + site(listen, one))
    assert (code, "decided at the start" in str(told)) == (200, True), told
    assert balancer.status()["io"]["configured"] == "auto"
