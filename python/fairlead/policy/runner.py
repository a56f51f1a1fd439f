"""The thread that asks a policy: round after round, and whatever comes of it.

Rules of this file
1. Only this thread runs the policy's code. It waits in the engine, without the interpreter's lock.
2. A policy may raise, answer rubbish or never come back. This thread says what it can of that; the
   engine sees the rest from outside.
3. A thread that was replaced finds out at its next call, and ends. Nothing can end it sooner.
"""

from __future__ import annotations

import json
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from fairlead.loader import describe
from fairlead.model import Backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.policy.policy import Policy

SCORE_SECONDS = 0.1
"""Between two rounds of scores."""

_BEST = 256
_SHOWN = 60


class Seat(Protocol):
    """The engine's side, see `fairlead._engine.Seat`."""

    def rest(self, timeout: float) -> bool:
        """Wait; whether the seat is still there."""

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
        self._thread = threading.Thread(target=self._run, name=f"policy {pool}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread that it is not needed any more; it isn't waited for."""
        self._seat.leave()

    def _run(self) -> None:
        due = time.monotonic()
        while self._seat.rest(max(0.0, due - time.monotonic())):
            if time.monotonic() < due:
                continue
            self._score()
            # From the end: a policy that takes long leaves the others their time.
            due = time.monotonic() + SCORE_SECONDS

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
