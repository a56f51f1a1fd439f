"""Checks that run in Python, each at its interval: how often, how many at once, when sooner.

At most 16 run at once over all pools. One that waits its turn is late, not failed: its time-out
begins when it starts. The first round starts at once, later ones are spread by a tenth of the
interval, so that a thousand checks don't fall into step.

Not here: what a check does (`command`, `function`), what a result does to health (the engine's
tracker), other checks (the engine).
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING

from fairlead.health.report import report_to
from fairlead.tasks import for_ever

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fairlead.health.check import Check
    from fairlead.health.report import Report

_AT_ONCE = 16
_JITTER = 0.1
_DOUBT_SECONDS = 60.0


class Checks:
    """Runs the checks of a running fairlead, each at its interval."""

    def __init__(self, report: Report, say: Callable[[str], None] = lambda _: None) -> None:
        """Nothing runs before `update`.

        Args:
            report: Hands results to the engine.
            say: Says a line to people: of a fault of ours, as a check's own are results.
        """
        self._report = report
        self._say = say
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._tasks: dict[Check, asyncio.Task[None]] = {}
        self._first: dict[Check, asyncio.Event] = {}

    def update(self, checks: Iterable[Check]) -> None:
        """Run these checks and no others. One that stays goes on undisturbed."""
        wanted = set(checks)
        for gone in self._tasks.keys() - wanted:
            self._tasks.pop(gone).cancel()
            del self._first[gone]
        for new in wanted - self._tasks.keys():
            self._first[new] = asyncio.Event()
            what = f"checking backend `{new.backend}` of pool `{new.pool}`"
            work = partial(self._repeat, new, self._first[new])
            self._tasks[new] = for_ever(what, work, self._say)

    async def wait_first(self) -> None:
        """Wait until each check ran once."""
        for event in list(self._first.values()):
            await event.wait()

    def stop(self) -> None:
        """Stop all; commands under way are killed."""
        self.update(())

    async def _repeat(self, check: Check, first: asyncio.Event) -> None:
        doubt = _Doubt(check.rise)
        while True:
            async with self._turn:
                result = await check.run()
            now = asyncio.get_running_loop().time()
            if result is not None:
                report_to(self._report, check.pool, check.backend, result)
                doubt.observe(passed=result.passed, now=now)
            first.set()
            fast = doubt.exists(now)
            interval = check.fast_interval_seconds if fast else check.interval_seconds
            # When, not whether: nothing here has to be unpredictable.
            await asyncio.sleep(interval * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311


class _Doubt:
    """Whether a backend is in doubt: from its first failure until `rise` passes in a row.

    One that has failed for a minute is no longer in doubt: it is down, and asked at leisure.
    """

    def __init__(self, rise: int) -> None:
        self._rise = rise
        self._since: float | None = None
        self._passes = 0

    def observe(self, *, passed: bool, now: float) -> None:
        self._passes = self._passes + 1 if passed else 0
        if self._passes >= self._rise:
            self._since = None
        elif not passed and self._since is None:
            self._since = now

    def exists(self, now: float) -> bool:
        if self._since is None:
            return False
        # A pass after a long time down is news: is it back?
        return self._passes > 0 or now - self._since < _DOUBT_SECONDS
