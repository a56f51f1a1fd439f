"""A backend that comes back from down gets its share little by little (`slow_start`).

On real sockets, by counting: of what was asked in the first part of that time, and after it, how
much did the one answer that came back?
"""

from __future__ import annotations

import socket

from harness.balancer import loopback, wait_for
from harness.config import site
from harness.crowd import Answer

CHECK = 'type = "http", path = "/healthz", interval = "400ms", fast_interval = "100ms"'
SECONDS = 1.5
"""Of slow start."""


def part_of(answers: list[Answer], name: str) -> float:
    """How large a part of these one backend answered."""
    return sum(answer.by == name for answer in answers) / len(answers)


def test_one_that_comes_back_gets_its_share_little_by_little(crowd, fairlead) -> None:
    one, two = crowd.origin("one"), crowd.origin("two")
    listen = loopback()
    pool = f'policy = "round-robin"\nslow_start = "{SECONDS * 1000:.0f}ms"\nretry = {{ hedge = "off" }}'
    balancer = fairlead(config=site(listen, one.address, two.address, check=CHECK, pool=pool))
    for origin in (one, two):
        balancer.wait_for_health(origin.address, "healthy")
    # From the beginning on nobody is new.
    assert 0.45 <= part_of(crowd.ask(listen, 200, 0.2), "two") <= 0.55

    two.kill()
    balancer.wait_for_health(two.address, "down")
    host, _, port = two.address.rpartition(":")
    crowd.origin("two", socket.create_server((host, int(port)), backlog=512))
    # Whoever asks all the while sees when it is back; to be told of it takes time.
    answers = crowd.ask(listen, 200, SECONDS + 2.5)
    wait_for(lambda: balancer.backends()[two.address]["share"] == 1)

    assert [answer for answer in answers if not answer.ok] == []
    began = next(answer.began for answer in answers if answer.by == "two")
    answers = [answer for answer in answers if answer.began >= began]
    first = [answer for answer in answers if answer.began < began + SECONDS / 4]
    last = [answer for answer in answers if answer.began >= began + SECONDS]
    # A fifth of its weight is a sixth of two backends' traffic, and grows evenly.
    assert 0 < part_of(first, "two") < 0.35, part_of(first, "two")
    assert 0.45 <= part_of(last, "two") <= 0.55, part_of(last, "two")
