"""A host that comes and goes: its clients don't notice, and it is believed less each time.

What is held back is its share of the traffic and the time until it is used again; how the holds
grow is `crates/fairlead-balance/src/trust.rs`.
"""

from __future__ import annotations

import itertools
import time
from datetime import datetime

import pytest

from harness.balancer import Balancer, loopback
from harness.config import site
from harness.crowd import Answer, Crowd, Origin
from harness.lab import Host

pytestmark = pytest.mark.root

RATE = 100
SLOW = 0.25
CHECK = 'type = "http", path = "/healthz"'


class Pair:
    """Two hosts, the second of which is going to flap, and traffic to both."""

    def __init__(self, fairlead, host, crowd: Crowd) -> None:
        self.hosts: list[Host] = [host(), host()]
        self.origins: list[Origin] = [
            crowd.origin(name, here.listener())
            for name, here in zip(("well", "flapping"), self.hosts, strict=True)
        ]
        self.listen = loopback()
        self.address = self.origins[1].address
        addresses = [origin.address for origin in self.origins]
        self.balancer: Balancer = fairlead(config=site(self.listen, *addresses, check=CHECK))
        self.balancer.wait_all_healthy()
        learnt = crowd.ask(self.listen, RATE, 0.5)
        assert {answer.by for answer in learnt} == {"well", "flapping"}

    def changes(self) -> list[tuple[float, str, str]]:
        """What the flapping one became, and when (seconds of the epoch), and why, in order."""
        return [
            (datetime.fromisoformat(event["time"]).timestamp(), event["to"], event["why"])
            for event in self.balancer.events()
            if event["event"] == "health" and event["backend"] == self.address
        ]

    def last_outage(self) -> list[tuple[float, str, str]]:
        """The same, from when it was last taken down to when it was believed again."""
        changes = self.changes()
        became = [to for _, to, _ in changes]
        fell = len(became) - 1 - became[::-1].index("down")
        return changes[fell : became.index("healthy", fell) + 1]


@pytest.fixture
def pair(fairlead, host, crowd) -> Pair:
    return Pair(fairlead, host, crowd)


def share(answers: list[Answer], begin: float, end: float) -> float:
    """The flapping one's part of what was asked in this time."""
    asked = [answer for answer in answers if begin <= answer.began < end]
    return sum(answer.by == "flapping" for answer in asked) / len(asked)


def failed(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if not answer.ok]


def sleep_until(moment: float) -> None:
    """The fault has its own clock, as a cable with a loose contact has."""
    time.sleep(max(0.0, moment - time.monotonic()))


def test_who_flaps_each_second_fails_nobody_and_loses_its_share(pair, crowd) -> None:
    flapping, seconds = pair.hosts[1], 8
    asking = crowd.begin(pair.listen, RATE, seconds + 0.5)
    begun = time.monotonic()
    turns = itertools.cycle((flapping.swallow, flapping.heal))
    for second, turn in zip(range(seconds), turns, strict=False):
        sleep_until(begun + second)
        turn()
    answers = asking.result(seconds + 30)

    assert failed(answers) == []
    slow = sorted(answer.took for answer in answers if answer.took > SLOW + crowd.stall(begun))
    assert len(slow) <= 5, slow
    # Half of the requests were its own before, and half of the time it is well. What it still gets
    # it gets in these halves, before it flaps again: measured are 3 in 100.
    assert share(answers, begun, begun + seconds) < 0.15


def test_it_is_held_back_longer_each_time_and_events_tell(pair, crowd) -> None:
    """It dies anew just when it is believed again."""
    flapping, outages = pair.hosts[1], []
    asking = crowd.begin(pair.listen, RATE, 15)
    for _ in range(4):
        flapping.swallow()
        pair.balancer.wait_for_health(pair.address, "down")
        flapping.heal()
        pair.balancer.wait_for_health(pair.address, "healthy", patience=15)
        outages.append(pair.last_outage())

    assert failed(asking.result(50)) == []
    # At the first time two passes of its check are enough. Then it is 1 s, doubled each time, after
    # the last that went wrong, and so after that which took it down.
    lasted = [outage[-1][0] - outage[0][0] for outage in outages]
    assert all(time >= least for time, least in zip(lasted, (0, 1, 2, 4), strict=True)), lasted
    # Its check passes meanwhile, and that is not enough.
    for (_, *half, _), least in zip(outages[2:], (2, 4), strict=True):
        assert [to for _, to, _ in half] == ["suspect"], (least, half)
        assert half[0][2].startswith("check: answered"), half
