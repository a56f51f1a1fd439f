"""The thread that asks a policy, at a desk that only remembers."""

import json
import threading

import pytest

from fairlead.policy.policy import Policy
from fairlead.policy.runner import RubbishError, Runner, scaled

ROWS = [{"address": f"b:{number}", "weight": 1} for number in range(2)]


class Desk:
    """Grants so many rounds, then the seat is gone."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.scores = []
        self.failures = []
        self.gone = threading.Event()

    def rest(self, timeout):
        assert 0 <= timeout <= 0.1
        # Long enough for what was asked for: time is the runner's own to look at.
        threading.Event().wait(timeout)
        self.rounds -= 1
        if self.rounds < 0:
            self.gone.set()
        return self.rounds >= 0

    def backends(self):
        return json.dumps(ROWS).encode()

    def set_scores(self, scores):
        self.scores.append(scores)

    def fail_scores(self, why):
        self.failures.append(why)

    def leave(self):
        self.rounds = 0


class Mine(Policy):
    def __init__(self, answers):
        self.answers = list(answers)
        self.threads = set()

    def score(self, backends):
        self.threads.add(threading.get_ident())
        assert [backend.address for backend in backends] == ["b:0", "b:1"]
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def run(policy, rounds):
    desk = Desk(rounds)
    runner = Runner("app", policy, desk)
    runner.start()
    assert desk.gone.wait(10)
    return desk


def test_a_round_puts_scores_in_force():
    policy = Mine([[1, 2], [3, 4]])
    assert run(policy, 2).scores == [[1, 2], [3, 4]]
    assert len(policy.threads) == 1
    assert threading.get_ident() not in policy.threads


def test_a_round_that_fails_is_told_and_the_next_one_comes():
    desk = run(Mine([ValueError("x"), [1], SystemExit(), [0.5, 1]]), 4)
    assert desk.failures[0].startswith("raised ValueError: x (test_runner.py:")
    assert desk.failures[1] == "answered 1 scores for 2 backends"
    assert desk.failures[2].startswith("raised SystemExit")
    assert desk.scores == [[128, 256]]


def test_a_seat_that_is_gone_ends_the_thread():
    desk = Desk(0)
    runner = Runner("app", Mine([]), desk)
    runner.start()
    runner._thread.join(10)
    assert not runner._thread.is_alive()


@pytest.mark.parametrize(
    ("answer", "scores"),
    [
        ([1, 2], [1, 2]),
        ((0, 256), [0, 256]),
        ([0, 257], [0, 256]),
        ([1e-9, 1.5], [1, 256]),
        ({"a": 1}.values(), None),
        ([True, False], [1, 0]),
    ],
)
def test_scores_are_kept_or_stretched(answer, scores):
    if scores is None:
        assert scaled(answer, 1) == [1]
    else:
        assert scaled(answer, 2) == scores


class Unspeakable:
    def __repr__(self):
        raise ValueError


@pytest.mark.parametrize(
    "answer",
    [
        7,
        None,
        "ab",
        [1],
        [1, 2, 3],
        [],
        [None, 1],
        [-1, 1],
        [0, 0],
        [float("inf"), 1],
        [float("nan"), 1],
        [10**400, 1],
        Unspeakable(),
        [Unspeakable(), 1],
    ],
)
def test_rubbish_is_told_as_such(answer):
    with pytest.raises(RubbishError):
        scaled(answer, 2)
