"""What operators asked for at run time: state and weight of a backend, kept over reloads.

A wish holds until the configuration itself says something new about that backend, or no longer
has it: the file is younger then. Health never touches a wish, and a wish never touches health.

Not here: how a wish takes effect (the engine), who may wish (`guard`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fairlead.control.engine import Engine

Name = tuple[str, str]
"""A backend's identity: its pool's name and its address as configured."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What the configuration says of a backend."""

    state: str
    weight: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, and what the configuration said then."""

    over: Configured
    state: str | None = None
    weight: int | None = None


class Wishes:
    """The wishes in force."""

    def __init__(self) -> None:
        self._wishes: dict[Name, Wish] = {}

    def __len__(self) -> int:
        return len(self._wishes)

    def add(
        self, name: Name, configured: Configured, *, state: str | None, weight: int | None
    ) -> None:
        """Remember a wish; what it leaves open stays as wished before."""
        before = self._wishes.get(name, Wish(configured))
        wish = Wish(
            over=configured,
            state=before.state if state is None else state,
            weight=before.weight if weight is None else weight,
        )
        # Back at what is configured: nothing is left to be wished.
        if wish.state == configured.state:
            wish = replace(wish, state=None)
        if wish.weight == configured.weight:
            wish = replace(wish, weight=None)
        self._wishes[name] = wish
        if wish.state is None and wish.weight is None:
            del self._wishes[name]

    def carry_over(self, configured: Mapping[Name, Configured]) -> list[str]:
        """Keep the wishes that fit a new configuration; say which don't."""
        dropped = []
        for name, wish in list(self._wishes.items()):
            now = configured.get(name)
            if now == wish.over:
                continue
            del self._wishes[name]
            why = "is gone" if now is None else "was changed in the configuration"
            dropped.append(f"{name[0]}/{name[1]} {why}: what was wished at run time is forgotten")
        return dropped

    def apply(self, engine: Engine) -> None:
        """Tell the engine all of them again. What it knows already changes nothing."""
        for (pool, backend), wish in self._wishes.items():
            if wish.state is not None:
                engine.set_state(pool, backend, wish.state)
            if wish.weight is not None:
                engine.set_weight(pool, backend, wish.weight)


def configured(pools: Iterable[tuple[str, str, str, int]]) -> dict[Name, Configured]:
    """Index rows of pool, backend, state, weight."""
    return {(pool, backend): Configured(state, weight) for pool, backend, state, weight in pools}
