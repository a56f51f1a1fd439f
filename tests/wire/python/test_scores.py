"""Policies in Python that make scores: who gets what, and what a bad one costs."""

from __future__ import annotations

import re

import pytest

from harness.balancer import loopback, wait_for
from harness.config import site, table

POLICY = 'policy = "mine:Mine"\nretry = { hedge = "off" }'
"""A hedge would be one request more; a busy machine is late enough for one."""

SHARES = """
import fairlead

class Mine(fairlead.Policy):
    def score(self, backends):
        return [{scores}]
"""


@pytest.fixture
def scored(fairlead, backend):
    """A balancer with this policy before two backends; and the address to ask."""

    def start(text: str, count: int = 2, **more):
        backends = [backend() for _ in range(count)]
        listen = loopback()
        config = site(listen, *backends, pool=POLICY, **more)
        balancer = fairlead(config=config, files={"mine.py": text})
        return balancer, listen, backends

    return start


def python(balancer) -> dict:
    """What the status says of the policy."""
    pool = balancer.status()["pools"][0]
    assert pool["policy"] == "mine:Mine"
    return dict(pool["python"])


def ask(balancer, listen: str, count: int) -> None:
    with balancer.connect(listen) as line:
        for _ in range(count):
            assert line.get().status == 200


def counts(backends) -> list[int]:
    return [len(each.requests) for each in backends]


def trouble(balancer) -> list[str]:
    return [event["what"] for event in balancer.events() if event["event"] == "policy"]


def test_scores_become_shares(scored) -> None:
    balancer, listen, backends = scored(SHARES.format(scores="3.0, 1"))
    wait_for(lambda: python(balancer)["scored"])

    ask(balancer, listen, 400)

    assert counts(backends) == [300, 100]
    assert python(balancer)["fallback"] == "round-robin"
    assert not python(balancer)["trouble"]


def test_a_backend_of_score_0_gets_nothing_until_it_is_the_last(scored) -> None:
    balancer, listen, backends = scored(SHARES.format(scores="0, 1"))
    wait_for(lambda: python(balancer)["scored"])
    ask(balancer, listen, 20)
    assert counts(backends) == [0, 20]

    backends[1].refuse()
    backends[1].cut()
    ask(balancer, listen, 5)

    assert counts(backends) == [5, 20]


def test_a_policy_sees_statistics_of_the_moment(scored) -> None:
    """Whoever has answered most gets nothing more."""
    text = """
import fairlead

class Mine(fairlead.Policy):
    def score(self, backends):
        assert [each.weight for each in backends] == [1, 1]
        assert all(each.health in ("healthy", "unknown") for each in backends)
        least = min(each.requests for each in backends)
        return [1 if each.requests == least else 0 for each in backends]
"""
    balancer, listen, backends = scored(text)
    wait_for(lambda: python(balancer)["scored"])

    ask(balancer, listen, 10)
    rounds = python(balancer)["scores"]
    wait_for(lambda: python(balancer)["scores"] > rounds + 1)
    ask(balancer, listen, 10)

    assert max(counts(backends)) < 20, "all went to one"
    assert not trouble(balancer)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return 1 / 0", "raised ZeroDivisionError: division by zero (mine.py:6, in score)"),
        ("return [1]", "answered 1 scores for 2 backends"),
        ("return None", "answered None, not a list of scores"),
        ("return ['a', 'b']", "answered ['a', 'b'], not a list of scores"),
        ("return [-1, 1]", "answered scores that are no numbers from 0 up: [-1, 1]"),
        ("return [float('nan'), 1]", "answered scores that are no numbers from 0 up: [nan, 1]"),
        ("return [0, 0]", "answered 0 for every backend"),
        ("raise SystemExit(3)", "raised SystemExit: 3 (mine.py:6, in score)"),
    ],
)
def test_a_policy_that_fails_costs_nothing_and_is_told(scored, body: str, told: str) -> None:
    text = f"""
import fairlead

class Mine(fairlead.Policy):
    def score(self, backends):
        {body}
"""
    balancer, listen, backends = scored(text)
    wait_for(lambda: python(balancer)["score_failures"] >= 2)

    ask(balancer, listen, 20)

    assert counts(backends) == [10, 10], "the fallback's turns"
    assert [each.split(";")[0] for each in trouble(balancer)] == [told], "told once, not each round"
    assert python(balancer)["trouble"].startswith(told)
    failures = re.search(
        r'^fairlead_policy_scores_total\{pool="app",result="failed"\} (\d+)$',
        balancer.text("/metrics")[1],
        re.MULTILINE,
    )
    assert failures
    assert int(failures[1]) >= 2
    balancer.wait_for_output(f"pool app policy mine:Mine {told}")


@pytest.mark.alone  # between stuck and lapsed there is one second
def test_scores_of_a_policy_that_hangs_lapse(scored) -> None:
    text = """
import threading
import fairlead

class Mine(fairlead.Policy):
    rounds = 0
    def score(self, backends):
        self.rounds += 1
        if self.rounds > 3:
            threading.Event().wait()
        return [1, 0]
"""
    balancer, listen, backends = scored(text)
    wait_for(lambda: python(balancer)["stuck"])
    ask(balancer, listen, 10)
    assert counts(backends) == [10, 0], "the last scores still count"

    wait_for(lambda: not python(balancer)["scored"])
    ask(balancer, listen, 10)

    assert counts(backends) == [15, 5]
    assert len(trouble(balancer)) == 2, trouble(balancer)


def test_a_policy_that_holds_the_interpreter_holds_up_no_request(scored) -> None:
    """Not even its scores hold for ever: the engine sees to that without Python."""
    text = """
import ctypes
import fairlead

class Mine(fairlead.Policy):
    rounds = 0
    def score(self, backends):
        self.rounds += 1
        if self.rounds == 3:
            ctypes.PyDLL(None).usleep(4_000_000)
        return [1, 0]
"""
    balancer, listen, backends = scored(text)
    wait_for(lambda: len(trouble(balancer)) >= 2)

    ask(balancer, listen, 10)

    said = trouble(balancer)
    assert any("at one call for a second" in each for each in said), said
    assert any("no scores for two seconds" in each for each in said), said
    assert sum(counts(backends)) == 10


def test_a_tcp_pool_is_scored_too(fairlead, backend) -> None:
    from harness.backend import echo

    backends = [backend(echo), backend(echo)]
    listen = loopback()
    balancer = fairlead(
        config=site(listen, *backends, pool=POLICY, protocol="tcp"),
        files={"mine.py": SHARES.format(scores="0, 1")},
    )
    wait_for(lambda: python(balancer)["scored"])

    for _ in range(5):
        with balancer.connect(listen) as line:
            line.send(b"x")
            assert line.read(1) == b"x"

    assert [len(each.lines) for each in backends] == [0, 5]


def test_weights_of_operators_stay_and_0_stays_0(scored) -> None:
    balancer, listen, backends = scored(SHARES.format(scores="1, 1"))
    wait_for(lambda: python(balancer)["scored"])

    address = backends[0].address
    assert balancer.api("PATCH", f"/v1/pools/app/backends/{address}", {"weight": 0})[0] == 200
    ask(balancer, listen, 10)

    assert counts(backends) == [0, 10]


def test_a_reload_that_adds_and_takes_backends_keeps_the_policy(fairlead, backend) -> None:
    text = """
import fairlead

class Mine(fairlead.Policy):
    made = 0
    def __init__(self):
        Mine.made += 1
    def score(self, backends):
        assert Mine.made == 1
        return [index for index, _ in enumerate(backends, 1)]
"""
    one, two, three = backend(), backend(), backend()
    listen = loopback()
    pool = POLICY + '\nslow_start = "0s"'
    balancer = fairlead(config=site(listen, one, two, pool=pool), files={"mine.py": text})
    wait_for(lambda: python(balancer)["scored"])

    status, answer = balancer.reload(site(listen, one, table(two, weight=9), three, pool=pool))
    assert status == 200, answer
    rounds = python(balancer)["scores"]
    wait_for(lambda: python(balancer)["scores"] > rounds + 1)
    ask(balancer, listen, 60)

    assert counts([one, two, three]) == [10, 20, 30]
    assert not trouble(balancer)
