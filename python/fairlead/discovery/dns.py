"""Names, resolved again and again: backends that move are followed without a reload.

Every 30 s, spread by a fifth so that a fleet doesn't ask in step; sooner (5 s, doubling) while a
name does not resolve. A backend that falls ill may have moved: its name is looked up at once, and
then after 0.25 s, 0.5 s, 1 s … for as long as it is ill: often it is noticed before the name has
moved. A name that stops resolving keeps the addresses
that it had last: a broken resolver must not empty a pool. Nothing runs when no backend has a name.

Not here: the lookup itself (`LoadedConfig.resolve`, which never fails), using what was found
(given as `use`), how long an answer may be believed (the system's resolver doesn't tell).
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Protocol

from fairlead.config.lower import is_name, names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from fairlead.config.loaded import LoadedConfig
    from fairlead.model import Json

_INTERVAL_SECONDS = 30.0
_SOON_SECONDS = 5.0
_ILL_SECONDS = 0.25
_JITTER = 0.2


class Tell(Protocol):
    """Tells an event."""

    def __call__(self, kind: str, **fields: str) -> None:
        """Of this kind, with these fields."""


class Names:
    """Follows the names of the configuration in force."""

    def __init__(
        self,
        current: Callable[[], LoadedConfig],
        resolve: Callable[[LoadedConfig], Awaitable[LoadedConfig]],
        use: Callable[[LoadedConfig, LoadedConfig], Awaitable[bool]],
        tell: Tell,
    ) -> None:
        """Nothing happens before `run`.

        Args:
            current: The configuration in force.
            resolve: Resolves its names again; what failed is in ``unresolved``.
            use: Makes the second one the one in force, if the first still is; whether it did.
            tell: Tells events: ``resolved``, ``unresolved``.
        """
        self._current = current
        self._resolve = resolve
        self._use = use
        self._tell = tell
        self._ill: set[tuple[str, str]] = set()
        self._fell_ill = asyncio.Event()

    def note(self, pool: str, backend: str, health: str) -> None:
        """Take note of what a backend's health is from now on; one without a name is no matter."""
        if health not in ("suspect", "down"):
            self._ill.discard((pool, backend))
        elif (pool, backend) not in self._ill and is_name(backend):
            self._ill.add((pool, backend))
            self._fell_ill.set()

    async def run(self) -> None:
        """Resolve for ever."""
        soon, ill = _SOON_SECONDS, _ILL_SECONDS
        while True:
            pause = _INTERVAL_SECONDS
            if self._current().unresolved:
                pause, soon = soon, min(soon * 2, _INTERVAL_SECONDS)
            else:
                soon = _SOON_SECONDS
            if self._ill:
                pause, ill = min(pause, ill), min(ill * 2, _INTERVAL_SECONDS)
            # When, not whether: nothing here has to be unpredictable.
            if await self._rest(pause * random.uniform(1 - _JITTER, 1 + _JITTER)):  # noqa: S311
                ill = _ILL_SECONDS
            await self.step()

    async def _rest(self, seconds: float) -> bool:
        """Wait so long, or until a backend falls ill (true)."""
        try:
            async with asyncio.timeout(seconds):
                await self._fell_ill.wait()
        except TimeoutError:
            return False
        self._fell_ill.clear()
        return True

    async def step(self) -> tuple[str, ...]:
        """Resolve once; the names that didn't resolve."""
        before = self._current()
        after = await self._resolve(before)
        if self._current() is not before:
            return ()
        for name in sorted(set(after.unresolved) - set(before.unresolved)):
            self._tell("unresolved", name=name, why=after.problems[name])
        moved = list(moves(json.loads(before.plan), json.loads(after.plan)))
        if not moved and after.unresolved == before.unresolved:
            return after.unresolved
        if await self._use(before, after):
            for pool, backend, what in moved:
                self._tell("resolved", pool=pool, backend=backend, what=what)
        return after.unresolved


def moves(before: Json, after: Json) -> Iterator[tuple[str, str, str]]:
    """Which backends are elsewhere now: pool, backend, and from where to where.

    >>> def plan(address): return {"pools": [{"name": "app", "backends": [
    ...     {"address": "app:80", "endpoints": [{"tcp": address}]}]}]}
    >>> list(moves(plan("10.0.0.1:80"), plan("10.0.0.2:80")))
    [('app', 'app:80', '10.0.0.1:80 -> 10.0.0.2:80')]
    """
    known = _endpoints(before)
    for name, endpoints in _endpoints(after).items():
        if name in known and known[name] != endpoints:
            yield *name, f"{known[name]} -> {endpoints}"


def has_names(loaded: LoadedConfig) -> bool:
    """Whether any backend is configured by a name."""
    return any(True for _ in names(loaded.config))


def _endpoints(plan: Json) -> dict[tuple[str, str], str]:
    """Where each backend is. Sorted: many DNS servers turn the order with every answer."""
    return {
        (pool["name"], backend["address"]): ", ".join(
            sorted(
                endpoint.get("tcp") or f"unix:{endpoint['unix']}"
                for endpoint in backend["endpoints"]
            )
        )
        for pool in plan["pools"]
        for backend in pool["backends"]
    }
