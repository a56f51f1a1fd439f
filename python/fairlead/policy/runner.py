"""The thread that asks a policy: questions and rounds of scores, and whatever comes of them.

Rules of this file
1. Only this thread runs the policy's code. It waits in the engine, without the interpreter's lock.
2. A policy may raise, answer rubbish or never come back. This thread says what it can of that; the
   engine sees the rest from outside.
3. A thread that was replaced finds out at its next call, and ends. Nothing can end it sooner.
4. There is one thread at a time, and it may be another one after a call that computed for long.
"""

from __future__ import annotations

import dataclasses
import json
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from fairlead.loader import describe
from fairlead.model import Backend
from fairlead.policy.request import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.policy.policy import Policy

SCORE_SECONDS = 0.1
"""Between two rounds of scores, and how old statistics may be that a pick sees."""

Question = tuple[list[int], list[int], str, tuple[str, int] | None, int, bytes, bytes, float]
"""What `fairlead._engine.Seat.take` gives."""

_WAIT_SECONDS = 0.5
_SAY_SECONDS = 0.0005
_ABSTAINED, _FAILED = -1, -2

_BEST = 256
_SHOWN = 60


class Seat(Protocol):
    """The engine's side, see `fairlead._engine.Seat`."""

    def take(self, timeout: float) -> list[Question] | None:
        """Wait for questions; ``None`` once the seat is gone, or not this thread's any more."""

    def answer(self, answers: list[tuple[int, int]]) -> None:
        """Answer questions that were taken last, by their places."""

    def fail_pick(self, why: str) -> None:
        """Say that a question was answered badly, or not at all."""

    def asked_about(self) -> bytes:
        """The backends that the questions are about, as JSON."""

    def configuration(self) -> int:
        """A number that is another when those are others."""

    def backends(self) -> bytes:
        """The pool's backends, as JSON."""

    def set_scores(self, scores: list[int]) -> None:
        """Put scores in force."""

    def fail_scores(self, why: str) -> None:
        """Say that there are none."""

    def leave(self) -> None:
        """Give the seat up."""


class Runner:
    """One policy at work for one pool."""

    def __init__(self, pool: str, policy: Policy, seat: Seat) -> None:
        """Nothing runs before `start`."""
        self._pool = pool
        self._policy = policy
        self._seat = seat
        self._offered = Offered(pool)
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin; where it has begun, see that there is still a thread at work.

        The engine sends one away that has computed for long, if the system doesn't let it come
        before others again. Called by a thread that is no such one itself: new ones take after it.
        """
        if self._stopped or (self._thread is not None and self._thread.is_alive()):
            return
        name = f"policy {self._pool}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread that it is not needed any more; it isn't waited for."""
        self._stopped = True
        self._seat.leave()

    def join(self, seconds: float) -> None:
        """Wait for the thread's end, so long at most."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        scores, picks = self._policy.writes("score"), self._policy.writes("pick")
        due = time.monotonic() if scores else math.inf
        while True:
            questions = self._seat.take(min(_WAIT_SECONDS, max(0.0, due - time.monotonic())))
            if questions is None:
                return
            if questions and picks:
                self._pick(questions)
            if time.monotonic() >= due:
                self._score()
                # From the end: a policy that takes long leaves the others their time.
                due = time.monotonic() + SCORE_SECONDS

    def _pick(self, questions: list[Question]) -> None:
        """Answer a batch of questions. Who was waited for too long isn't asked any more."""
        taken = said = time.monotonic()
        offer = self._offered.of(self._seat, taken)
        answers: list[tuple[int, int]] = []
        for place, question in enumerate(questions):
            slots, active, listener, client, attempts, head, body, left = question
            now = time.monotonic()
            if now - taken >= left:
                continue
            if answers and now - said >= _SAY_SECONDS:
                self._seat.answer(answers)
                answers, said = [], now
            request = Request(listener, client, attempts, head, body)
            answers.append((place, self._ask(request, slots, offer.backends(slots, active))))
        self._seat.answer(answers)

    def _ask(self, request: Request, slots: list[int], backends: list[Backend]) -> int:
        chosen: Any
        try:
            chosen = self._policy.pick(request, backends)
        except BaseException as error:  # noqa: BLE001  # SystemExit would end the thread unseen
            self._seat.fail_pick(f"raised {describe(error)}")
            return _FAILED
        if chosen is None:
            return _ABSTAINED
        for slot, backend in zip(slots, backends, strict=True):
            if backend is chosen:
                self._offered.note_picked(slot)
                return slot
        if isinstance(chosen, Backend):
            self._seat.fail_pick(f"answered `{chosen.address}`, which was not offered")
        else:
            self._seat.fail_pick(f"answered {_short(chosen)}, not one of the backends")
        return _FAILED

    def _score(self) -> None:
        rows = json.loads(self._seat.backends())
        backends = [Backend.from_json(self._pool, row) for row in rows]
        try:
            scores = scaled(self._policy.score(backends), len(backends))
        except RubbishError as error:
            self._seat.fail_scores(f"{error}")
        except BaseException as error:  # noqa: BLE001  # SystemExit would end the thread unseen
            self._seat.fail_scores(f"raised {describe(error)}")
        else:
            self._seat.set_scores(scores)


class Offered:
    """Backends as they are shown to `Policy.pick`.

    Statistics are read ten times a second at most; what is in flight is of the moment. A backend
    looks the same to all questions between which nothing has changed, so that it is made once.
    """

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self._rows: list[Backend] = []
        self._made: dict[tuple[int, int], Backend] = {}
        self._picked: dict[int, int] = {}
        self._stale = 0.0
        self._configuration = 0

    def of(self, seat: Seat, now: float) -> Offered:
        """What is offered to the questions that were taken from a seat just now."""
        self._picked.clear()
        configuration = seat.configuration()
        if now >= self._stale or configuration != self._configuration:
            rows = json.loads(seat.asked_about())
            self._rows = [Backend.from_json(self._pool, row) for row in rows]
            self._made.clear()
            self._stale = now + SCORE_SECONDS
            self._configuration = configuration
        return self

    def note_picked(self, slot: int) -> None:
        """One more is about to be in flight: the next question of the batch should know."""
        self._picked[slot] = self._picked.get(slot, 0) + 1

    def backends(self, slots: list[int], active: list[int]) -> list[Backend]:
        """The backends of these slots with so many in flight."""
        return [
            self._one(slot, count + self._picked.get(slot, 0))
            for slot, count in zip(slots, active, strict=True)
        ]

    def _one(self, slot: int, active: int) -> Backend:
        made = self._made.get((slot, active))
        if made is None:
            made = dataclasses.replace(self._rows[slot], active=active)
            self._made[slot, active] = made
        return made


class RubbishError(Exception):
    """A policy answered something that is no answer."""


def scaled(answer: Any, count: int) -> list[int]:
    """A policy's scores as the engine takes them: 0 to 256.

    Whole numbers of that range stay as they are; others are stretched so that the best is 256.

    Args:
        answer: What the policy said.
        count: How many backends it was asked about.

    Raises:
        RubbishError: It makes no sense.

    >>> scaled([3, 1], 2), scaled([0.5, 0.25, 0, 0.0001], 4)
    ([3, 1], [256, 128, 0, 1])
    """
    numbers = _numbers(answer)
    if len(numbers) != count:
        raise RubbishError(f"answered {len(numbers)} scores for {count} backends")
    best = max(numbers, default=0.0)
    if min(numbers, default=0.0) < 0 or not math.isfinite(sum(numbers)):
        raise RubbishError(f"answered scores that are no numbers from 0 up: {_short(answer)}")
    if best <= 0:
        raise RubbishError("answered 0 for every backend")
    if best <= _BEST and all(number.is_integer() for number in numbers):
        return [int(number) for number in numbers]
    return [max(1, round(number / best * _BEST)) if number > 0 else 0 for number in numbers]


def _numbers(answer: Any) -> Sequence[float]:
    try:
        return [float(number) for number in answer]
    except (TypeError, ValueError, OverflowError):
        raise RubbishError(f"answered {_short(answer)}, not a list of scores") from None


def _short(answer: Any) -> str:
    try:
        text = repr(answer)
    except Exception:  # noqa: BLE001  # a policy's own class may fail here, too
        text = f"a {type(answer).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
