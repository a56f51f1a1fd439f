"""Answers that are late, at rates where that hurts: who is hedged, and what that costs everybody.

Backends answer on loopback from one event loop (`harness.crowd`); default settings throughout.
Times are judged beside the standstills of that loop, and all else by counting.
"""

from __future__ import annotations

import itertools
import random
import time

import pytest

from harness.balancer import Balancer, loopback
from harness.config import site
from harness.crowd import Answer, Origin, Wait, executions

HEDGED = 0.25
"""Seconds within which a stuck request has its answer from somebody else."""

CHECK = 'type = "http", path = "/healthz"'


@pytest.fixture
def pair(fairlead, crowd):
    """Two origins and fairlead before them, with its defaults: the quick form."""

    def start() -> tuple[Balancer, Origin, Origin]:
        one, two = crowd.origin("one"), crowd.origin("two")
        balancer = fairlead("http", loopback(), one.address, two.address, "--check", "/healthz")
        for origin in (one, two):
            balancer.wait_for_health(origin.address, "healthy")
        return balancer, one, two

    return start


def slower(answers: list[Answer], seconds: float) -> list[Answer]:
    """Those that took longer."""
    return [answer for answer in answers if answer.took > seconds]


def stuck(first: int) -> Wait:
    """So many requests, the next ones, are never answered."""
    left = itertools.count(first, -1)
    return lambda _: None if next(left) > 0 else 0.0


def quantile(answers: list[Answer], share: float) -> float:
    """So large a share of them took at most so long."""
    ordered = sorted(answer.took for answer in answers)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@pytest.mark.parametrize("what", ["twenty requests", "the process"])
def test_twenty_that_are_stuck_at_once_are_all_hedged_in_time(crowd, pair, what: str) -> None:
    """At 1,000 a second, on kept connections."""
    balancer, one, two = pair()
    before = crowd.ask(balancer.listen, 1_000, 1.5)
    assert [answer for answer in before if not answer.ok] == []
    asked = set(two.executed)

    since = time.monotonic()
    if what == "the process":
        two.freeze()
    else:
        two.wait = stuck(20)
    answers = crowd.ask(balancer.listen, 1_000, 1)

    assert [answer for answer in answers if not answer.ok] == []
    if what == "twenty requests":
        caught = list(itertools.islice((number for number in two.came if number not in asked), 20))
        assert len(caught) == 20
        assert {answer.by for answer in answers if answer.id in caught} == {"one"}
        hedged = [one.came[number] - two.came[number] for number in caught]
        assert max(hedged) < HEDGED + crowd.stall(since), sorted(hedged)
    assert slower(answers, HEDGED + crowd.stall(since)) == []


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_tail_of_one_percent_is_five_times_shorter_for_three_percent_more_requests(
    crowd, fairlead
) -> None:
    """1 % of the answers of every backend take 100 times the median of 10 ms.

    Two instances in the same seconds, one without hedges, so that what disturbs one disturbs both.
    """

    def tail(seed: int) -> Wait:
        chance = random.Random(seed)
        return lambda _: 1.0 if chance.random() < 0.01 else 0.01

    listens, origins = [loopback(), loopback()], []
    for listen, hedge in zip(listens, ("auto", "off"), strict=True):
        mine = [crowd.origin(f"{hedge} {number}") for number in range(2)]
        for number, origin in enumerate(mine):
            origin.wait = tail(number)
        origins.append(mine)
        retry = f'retry = {{ hedge = "{hedge}" }}'
        fairlead(config=site(listen, *(each.address for each in mine), check=CHECK, pool=retry))
    for learning in [crowd.begin(listen, 100, 2) for listen in listens]:
        learning.result(20)

    runs = [crowd.begin(listen, 200, 15) for listen in listens]
    auto, off = (run.result(40) for run in runs)

    assert [answer for answer in (*auto, *off) if not answer.ok] == []
    assert quantile(auto, 0.999) <= quantile(off, 0.999) / 5
    assert executions(auto, *origins[0]).total() <= 1.03 * len(auto)
