"""Answers that are late, at rates where that hurts: who is hedged, and what that costs everybody.

Backends answer on loopback from one event loop (`harness.crowd`); default settings throughout.
Times are judged beside the standstills of that loop, and all else by counting. Those that take a
quarter of a minute (`long`) are proved by virtual time in `fairlead-sim/tests/lateness.rs`, with the
same bounds.
"""

from __future__ import annotations

import itertools
import random
import time

import pytest

from harness.balancer import Balancer, loopback, wait_for
from harness.config import site
from harness.crowd import Answer, Origin, Request, Wait, executions
from harness.standstill import at_best

pytestmark = pytest.mark.alone

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


def doubts(balancer: Balancer) -> list[str]:
    """What was said of backends that were not well."""
    events = (event for event in balancer.events() if event["event"] == "health")
    return [f"{event['to']}: {event['why']}" for event in events if event["to"] != "healthy"]


def slower(answers: list[Answer], seconds: float) -> list[Answer]:
    """Those that took longer."""
    return [answer for answer in answers if answer.took > seconds]


def stuck(first: int) -> Wait:
    """So many requests, the next ones, are never answered."""
    left = itertools.count(first, -1)
    return lambda _: None if next(left) > 0 else 0.0


def latency(request: Request) -> float:
    """What an answer usually takes here."""
    return 0.005


def quantile(answers: list[Answer], share: float) -> float:
    """So large a share of them took at most so long."""
    ordered = sorted(answer.took for answer in answers)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@pytest.mark.parametrize("what", ["twenty requests", "the process"])
def test_twenty_that_are_stuck_at_once_are_all_hedged_in_time(crowd, pair, what: str) -> None:
    """At 1,000 a second, on kept connections.

    As many hedges are saved up as there are requests in a tenth of a second: a machine that keeps
    fairlead from its processors for as long has it owe more answers than that.
    """
    failed: list[Answer] = []

    def measure() -> None:
        balancer, one, two = pair()
        failed.extend(each for each in crowd.ask(balancer.listen, 1_000, 1.5) if not each.ok)
        asked = set(two.executed)

        since = time.monotonic()
        if what == "the process":
            two.freeze()
        else:
            two.wait = stuck(20)
        answers = crowd.ask(balancer.listen, 1_000, 1)

        failed.extend(answer for answer in answers if not answer.ok)
        if what == "twenty requests":
            new = (number for number in two.came if number not in asked)
            caught = list(itertools.islice(new, 20))
            assert len(caught) == 20
            assert {answer.by for answer in answers if answer.id in caught} == {"one"}
            hedged = [one.came[number] - two.came[number] for number in caught]
            assert max(hedged) < HEDGED + crowd.stall(since), sorted(hedged)
        assert slower(answers, HEDGED + crowd.stall(since)) == []

    at_best(measure)
    assert failed == []


@pytest.mark.long
@pytest.mark.timeout(60)
def test_long_polls_among_quick_requests_are_not_cut_and_hardly_ever_made_twice(
    crowd, pair
) -> None:
    """Each host answers them after 5 s, as it should; 200 of them in ten seconds."""
    balancer, one, two = pair()
    for origin in (one, two):
        origin.wait = lambda request: 5.0 if request.target == "/poll" else 0.0
    quick = crowd.begin(balancer.listen, 100, 16)
    crowd.ask(balancer.listen, 100, 1)
    since = time.monotonic()
    polls = crowd.ask(balancer.listen, 20, 10, request="GET /poll")

    assert [answer for answer in polls if not answer.ok] == []
    assert slower(polls, 5.25 + crowd.stall(since)) == []
    made = executions(polls, one, two)
    assert made.total() <= 1.05 * len(polls)
    others = quick.result(30)
    assert [answer for answer in others if not answer.ok] == []
    assert slower(others, HEDGED + crowd.stall(since)) == []
    assert [doubt for doubt in doubts(balancer) if doubt.startswith("down")] == []


def test_one_client_that_abandons_200_slow_requests_harms_nobody_else(crowd, pair) -> None:
    balancer, one, two = pair()
    for origin in (one, two):
        origin.wait = lambda request: 3.0 if request.target == "/slow" else 0.0
    crowd.ask(balancer.listen, 200, 1)
    since = time.monotonic()
    others = crowd.begin(balancer.listen, 200, 3)
    left = crowd.ask(balancer.listen, 400, 0.5, request="GET /slow", patience=0.4, keep=False)
    assert len(left) == 200
    assert [answer for answer in left if answer.ok] == []

    seen = others.result(20)
    assert [answer for answer in seen if not answer.ok] == []
    assert slower(seen, HEDGED + crowd.stall(since)) == []
    # A backend that for a moment has nothing but slow ones looks silent, until one that is quick is
    # tried there: in doubt at most, and not for long.
    assert [doubt for doubt in doubts(balancer) if doubt.startswith("down")] == []
    crowd.ask(balancer.listen, 100, 2)
    balancer.wait_all_healthy()
    # Nothing is left of them.
    wait_for(lambda: sum(row["active"] for row in balancer.backends().values()) == 0)


@pytest.mark.long
def test_where_all_are_slow_at_once_hardly_anything_is_made_twice_and_nobody_is_out(
    crowd, pair
) -> None:
    """A shared database stalls: a second copy of each request would be the last straw."""
    balancer, one, two = pair()
    for origin in (one, two):
        origin.wait = latency
    before = crowd.ask(balancer.listen, 400, 2)
    assert [answer for answer in before if not answer.ok] == []

    for origin in (one, two):
        origin.wait = lambda _: 0.5
    answers = crowd.ask(balancer.listen, 400, 8)

    assert [answer for answer in answers if not answer.ok] == []
    made = executions(answers, one, two)
    assert made.total() <= 1.02 * len(answers)
    # Nobody is ejected: each still gets its share.
    shares = sorted(sum(origin.executed[each.id] for each in answers) for origin in (one, two))
    assert shares[0] >= 0.4 * len(answers), shares
    assert [doubt for doubt in doubts(balancer) if doubt.startswith("down")] == []


@pytest.mark.long
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
