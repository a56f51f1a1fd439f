"""A late GET is sent to a second backend too, within a budget; nothing else ever is."""

from __future__ import annotations

import threading
import time

import pytest

from harness.backend import keeping, response, saying
from harness.balancer import loopback
from harness.config import site

ASK = "{} / HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n"


def stuck_now_and_then(every: int):
    """Answers at once, but each ``every``-th request only after 1.5 s."""
    count = [0]
    lock = threading.Lock()

    def play(line) -> None:
        while line.read_request():
            with lock:
                count[0] += 1
                stuck = count[0] % every == 0
            if stuck:
                time.sleep(1.5)
            line.send(response(b"one"))

    return play


def test_a_get_that_is_stuck_is_answered_by_another_backend(fairlead, backend) -> None:
    one, two = backend(stuck_now_and_then(20)), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two))
    line = balancer.connect(listen)

    slowest = 0.0
    for _ in range(100):
        started = time.monotonic()
        assert line.get().status == 200
        slowest = max(slowest, time.monotonic() - started)

    assert slowest < 1


def test_with_hedging_off_it_waits(fairlead, backend) -> None:
    one, two = backend(stuck_now_and_then(1)), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(
        config=site(listen, one, two, pool='policy = "first"\nretry = { hedge = "off" }')
    )
    started = time.monotonic()

    assert balancer.connect(listen).get().body == b"one"
    assert time.monotonic() - started > 1.4
    assert two.requests == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_what_changes_something_is_never_sent_to_two_at_once(
    fairlead, backend, method: str
) -> None:
    def slow(line) -> None:
        while line.read_request():
            time.sleep(0.5)
            line.send(response(b"slow"))

    one, two = backend(slow), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, pool='policy = "first"'))
    line = balancer.connect(listen)

    for _ in range(2):
        assert line.ask(ASK.format(method)).body == b"slow"
    assert two.requests == []


def test_hedges_stay_within_their_budget(fairlead, backend) -> None:
    """Everything is slow everywhere: doubling the load would make it worse."""

    def slow(line) -> None:
        while line.read_request():
            time.sleep(0.02)
            line.send(response(b""))

    backends = [backend(slow) for _ in range(3)]
    listen = loopback()
    balancer = fairlead(config=site(listen, *backends))

    def ask() -> None:
        with balancer.connect(listen) as line:
            for _ in range(100):
                assert line.get().status == 200

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    sent = sum(len(each.requests) for each in backends)
    assert 800 <= sent <= 800 * 1.02 + 60, "2 % and a burst of some tens"


def test_long_polls_are_hardly_ever_made_twice(fairlead, backend) -> None:
    """Requests that simply take long: hedges don't win there, and so they stop."""

    def poll(line) -> None:
        while line.read_request():
            time.sleep(0.3)
            line.send(response(b"news"))

    one, two = backend(poll), backend(poll)
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two))

    def ask() -> None:
        with balancer.connect(listen) as line:
            for _ in range(10):
                assert line.get().body == b"news"

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(one.requests) + len(two.requests) <= 100 + 40
    assert {row["health"] for row in balancer.backends().values()} <= {"healthy", "unknown"}


def test_the_loser_of_a_hedge_does_not_answer_the_next_request(fairlead, backend) -> None:
    count = [0]

    def play(line) -> None:
        while request := line.read_request():
            count[0] += 1
            if count[0] % 10 == 0:
                time.sleep(0.3)
            line.send(response(request.target.encode()))

    one = backend(play)
    two = backend(keeping(lambda request: response(request.target.encode())))
    listen = loopback()
    line = fairlead(config=site(listen, one, two)).connect(listen)

    for number in range(200):
        assert line.get(f"/{number}").body == f"/{number}".encode()
