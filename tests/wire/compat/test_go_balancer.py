"""docs/from/go-balancer.md: its ten lines behave as that program does, without its faults
(FEATURES.md, 4.2)."""

from __future__ import annotations

import re
import threading
import time

import pytest

from harness.backend import Backend, keeping, response, saying
from harness.balancer import loopback, wait_for
from harness.inlab import BlackHole
from harness.sources import text

PAGE = "docs/from/go-balancer.md"


@pytest.fixture
def ten_lines(fairlead):
    """Runs the page's configuration with these backends in place of its own."""

    def start(*backends: Backend | BlackHole, **times: str):
        config = next(iter(re.findall(r"```toml\n(.*?)```", text(PAGE), re.DOTALL)))
        lines = [line for line in config.splitlines() if line]
        assert len(lines) == 10, "ten lines is what the page says"
        listen = loopback()
        config = config.replace('":3030"', f'"{listen}"')
        addresses = ", ".join(f'"http://{backend.address}"' for backend in backends)
        config = re.sub(r"backends = \[.*\]", f"backends = [{addresses}]", config)
        for key, value in times.items():
            config = re.sub(rf'{key} = "[^"]*"', f'{key} = "{value}"', config)
        balancer = fairlead(config=config)
        balancer.listen = listen
        return balancer

    return start


def said(balancer) -> str:
    with balancer.connect() as line:
        return line.get().body.decode()


def test_requests_go_round(ten_lines, backend) -> None:
    balancer = ten_lines(*[backend(saying(name)) for name in "abc"])

    names = [said(balancer) for _ in range(6)]

    assert names[:3] == names[3:]
    assert set(names) == set("abc")


def test_a_backend_is_tried_three_times_ten_milliseconds_apart(ten_lines, backend) -> None:
    broken = backend(lambda line: line.read_request())
    balancer = ten_lines(broken, backend(saying("good")))
    took = 0.0

    def is_tried() -> bool:
        nonlocal took
        started = time.monotonic()
        assert said(balancer) == "good"
        took = time.monotonic() - started
        return bool(broken.requests)

    wait_for(is_tried)

    assert len(broken.requests) == 3
    # As its client sees it: a backend's thread may be late to note the first of two tries.
    assert took >= 0.02


def test_1_a_client_that_leaves_takes_nobody_down(ten_lines, backend) -> None:
    """There: one abort, and every later request got 503."""
    asked = threading.Event()

    def slow(line) -> None:
        while line.read_request():
            asked.set()
            if line.is_silent(0.3):
                line.send(response(b"slow"))

    balancer = ten_lines(*[backend(slow) for _ in range(3)])
    for _ in range(6):
        asked.clear()
        with balancer.connect() as line:
            line.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert asked.wait(5)
            line.reset()

    assert [said(balancer) for _ in range(6)] == ["slow"] * 6
    assert {row["health"] for row in balancer.backends().values()} <= {"healthy", "unknown"}


def test_2_posts_whose_first_backend_is_dead_poison_nobody(ten_lines, backend) -> None:
    """There: the third POST got 503, and then 60 of 60 GETs did."""
    dead = backend()
    balancer = ten_lines(
        dead, *[backend(keeping(lambda request: response(request.body))) for _ in range(2)]
    )
    dead.refuse()

    with balancer.connect() as line:
        for number in range(9):
            body = f"body {number}"
            answer = line.ask(
                f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            )
            assert (answer.status, answer.body.decode()) == (200, body)
        assert [line.get().status for _ in range(20)] == [200] * 20


def test_3_a_black_hole_hangs_no_request(ten_lines, backend) -> None:
    """There: 2 of 4 requests hung for more than 20 s."""
    hole = BlackHole()
    try:
        balancer = ten_lines(hole, backend(saying("good")))

        started = time.monotonic()
        assert [said(balancer) for _ in range(4)] == ["good"] * 4

        assert time.monotonic() - started < 3
    finally:
        hole.close()


def test_4_checks_do_not_wait_for_each_other(ten_lines, backend) -> None:
    """There: each dead backend delays the round by two seconds."""
    holes = [BlackHole() for _ in range(4)]
    late = backend(saying("late"))
    try:
        balancer = ten_lines(*holes, late, interval="1s")
        late.refuse()

        balancer.wait_for_health(late.address, "down", patience=4.0)
    finally:
        for hole in holes:
            hole.close()


def test_4_neighbours_of_a_dead_backend_share_its_load(ten_lines, backend) -> None:
    """There: the next in order got it all."""
    dead, *others = [backend(saying(name)) for name in "abcde"]
    balancer = ten_lines(dead, *others, interval="200ms")
    dead.refuse()
    balancer.wait_for_health(dead.address, "down")

    names = [said(balancer) for _ in range(40)]

    assert {name: names.count(name) for name in set(names)} == dict.fromkeys("bcde", 10)


def test_4_nobody_is_left_without_an_end_and_a_time_to_come_again(ten_lines, backend) -> None:
    """There: no total bound, and nothing that tells clients when to try again."""
    dead = backend()
    balancer = ten_lines(dead, interval="200ms")
    dead.refuse()
    balancer.wait_for_health(dead.address, "down")

    with balancer.connect() as line:
        started = time.monotonic()
        answer = line.get()

    assert time.monotonic() - started < 2
    assert answer.status == 503
    assert answer.reason == "no_backend"
    assert int(answer.value("retry-after") or "0") > 0
