"""The thread that asks a policy, at a desk that only remembers."""

import json
import threading

import pytest

from fairlead.model import Backend
from fairlead.policy.policy import Policy
from fairlead.policy.runner import Offered, RubbishError, Runner, scaled

ROWS = [{"address": f"b:{number}", "weight": 1} for number in range(2)]


class Desk:
    """Grants so many rounds, each with what questions there are; then the seat is gone."""

    def __init__(self, rounds, questions=()):
        self.rounds = rounds
        self.questions = list(questions)
        self.scores = []
        self.failures = []
        self.answers = []
        self.gone = threading.Event()

    def take(self, timeout):
        assert 0 <= timeout <= 0.5
        self.rounds -= 1
        if self.rounds < 0:
            self.gone.set()
            return None
        if self.questions:
            return self.questions.pop(0)
        # Long enough for what was asked for: time is the runner's own to look at.
        threading.Event().wait(timeout)
        return []

    def answer(self, answers):
        self.answers += answers

    def fail_pick(self, why):
        self.failures.append(why)

    def asked_about(self):
        return self.backends()

    def configuration(self):
        return 1

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


def run(policy, rounds, questions=()):
    desk = Desk(rounds, questions)
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


def test_a_thread_that_was_sent_away_is_replaced_until_the_end():
    runner = Runner("app", Mine([]), Desk(0))
    runner.start()
    first = runner._thread
    first.join(10)
    runner.start()
    second = runner._thread
    second.join(10)
    runner.stop()
    runner.start()

    assert second is not first
    assert runner._thread is second


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


def question(slots=(0, 1), active=(0, 0), left=5.0, head=b"GET /a HTTP/1.1\r\n\r\n"):
    return list(slots), list(active), "web", ("192.0.2.1", 9), 0, head, b"", left


class Picking(Policy):
    def __init__(self, *answers):
        self.answers = list(answers)
        self.seen = []

    def pick(self, request, backends):
        self.seen.append((request.path, [(one.address, one.active) for one in backends]))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer(backends) if callable(answer) else answer


def first(backends):
    return backends[0]


def test_a_batch_is_answered_by_place():
    policy = Picking(first, None, lambda backends: backends[1], first)
    questions = [question(), question(), question(), question(slots=(1,), active=(4,))]
    desk = run(policy, 1, [questions])
    assert desk.answers == [(0, 0), (1, -1), (2, 1), (3, 1)]
    assert policy.seen[3] == ("/a", [("b:1", 5)]), "what was just picked is in flight, too"


def test_within_a_batch_what_was_picked_counts_as_in_flight():
    policy = Picking(first, first)
    run(policy, 1, [[question(), question()]])
    assert [seen for _, seen in policy.seen] == [
        [("b:0", 0), ("b:1", 0)],
        [("b:0", 1), ("b:1", 0)],
    ]


def test_a_pick_that_fails_is_told_and_answered_as_such():
    stranger = Backend.from_json("app", {"address": "c:1"})
    policy = Picking(ValueError("x"), stranger, "b:0", first)
    desk = run(policy, 1, [[question() for _ in range(4)]])
    assert desk.answers == [(0, -2), (1, -2), (2, -2), (3, 0)]
    assert desk.failures[0].startswith("raised ValueError: x (test_runner.py:")
    assert desk.failures[1:] == [
        "answered `c:1`, which was not offered",
        "answered 'b:0', not one of the backends",
    ]


def test_who_is_not_waited_for_any_more_is_not_asked():
    policy = Picking(first)
    desk = run(policy, 1, [[question(left=0.0), question()]])
    assert desk.answers == [(1, 0)]
    assert len(policy.seen) == 1


class Slow(Policy):
    def pick(self, _request, backends):
        threading.Event().wait(0.02)
        return backends[0]


def test_a_slow_batch_is_answered_piece_by_piece():
    said = []

    class Seat(Desk):
        def answer(self, answers):
            said.append(list(answers))

    desk = Seat(1, [[question() for _ in range(3)]])
    Runner("app", Slow(), desk).start()
    assert desk.gone.wait(10)
    assert said == [[(0, 0)], [(1, 0)], [(2, 0)]]


def test_backends_are_made_anew_only_when_something_changed():
    offered = Offered("app")
    desk = Desk(1)
    one = offered.of(desk, 10.0).backends([0, 1], [0, 3])
    assert offered.of(desk, 10.05).backends([0], [0])[0] is one[0]
    assert offered.of(desk, 10.05).backends([0], [1])[0] is not one[0]
    assert offered.of(desk, 10.2).backends([0], [0])[0] is not one[0]
