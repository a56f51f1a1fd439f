"""Backends that hang up, or break off, while their check page is well.

No rival learns the last of these: what is cut after its head is an answer to them.
"""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from harness.balancer import loopback
from harness.config import site
from harness.line import BrokenOff, dial

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
WELL = 'type = "http", path = "/healthz", interval = "200ms", timeout = "1s"'

MANNERS = {
    "accepts and closes": None,
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": HEAD + b"half",
    "no HTTP": b"\x16\x03\x01 220 mail.example.com\r\n\r\n",
}


def misbehaving(said: bytes | None, every: int, cases: list[float]):
    """Answers every ``every``-th request badly, and its check page always well."""
    count, lock = [0], threading.Lock()

    def play(line) -> None:
        while request := line.read_request():
            if request.target != "/healthz":
                with lock:
                    count[0] += 1
                    bad = count[0] % every == 0
                if bad:
                    cases.append(time.monotonic())
                    line.send(said or b"")
                    return
            line.send(HEAD + b"0123456789")

    return play


def well(line) -> None:
    """Answers well."""
    while line.read_request():
        line.send(HEAD + b"0123456789")


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("manner", MANNERS)
def test_it_is_learnt_within_ten_cases_and_then_under_a_tenth_goes_there(
    fairlead, backend, manner: str, every: int
) -> None:
    cases: list[float] = []
    bad = backend(misbehaving(MANNERS[manner], every, cases))
    good = backend(well)
    listen = loopback()
    balancer = fairlead(config=site(listen, bad, good, check=WELL))
    balancer.wait_all_healthy()

    failed = asked = 0
    end = time.monotonic() + 1.5
    line = dial(listen)
    # A share of them is judged below: on a slow machine it takes longer until there are enough.
    while time.monotonic() < end or asked < 300:
        asked += 1
        try:
            assert line.get().body == b"0123456789"
        except (BrokenOff, OSError):
            failed += 1
            line.close()
            line = dial(listen)
        time.sleep(0.002)

    there = sum(1 for request in bad.requests if request.target != "/healthz")
    assert len(cases) <= 10, f"{len(cases)} cases in {asked} requests"
    assert there < asked / 10, f"{there} of {asked} went there"
    # What broke off after its head can't be taken back; nothing else is seen by a client. (Nor is
    # that of a late request which was put to the bad one, too, and answered by the good one first.)
    assert failed <= (len(cases) if manner == "half a body" else 0)


@pytest.mark.parametrize("manner", MANNERS)
def test_where_all_behave_so_nobody_is_out(fairlead, backend, manner: str) -> None:
    """It is the application, not one backend: half of the answers still come through."""
    backends = [backend(misbehaving(MANNERS[manner], 2, [])) for _ in range(2)]
    listen = loopback()
    fairlead(config=site(listen, *backends, check=WELL))
    answered = 0
    for _ in range(60):
        with dial(listen) as line, contextlib.suppress(BrokenOff, OSError):
            line.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 1\r\n\r\nx")
            answered += line.read_response().status == 200
    assert answered >= 20


def test_a_lone_backend_that_hangs_up_is_not_hammered(fairlead, backend) -> None:
    only = backend(lambda line: line.read_request())
    listen = loopback()
    fairlead(config=site(listen, only))
    line = dial(listen)
    started = time.monotonic()
    answer = line.get()
    took = time.monotonic() - started
    assert (answer.status, answer.reason) == (502, "backend_reset")
    assert len(only.requests) == 3
    # 25 ms and then 50, as its client sees it: the backend's thread may be late to note a request,
    # and then the pause after it looks shorter than it was.
    assert took >= 0.075
