"""A balancer whose interpreter can be held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.balancer import wait_for
from harness.held import Held


@pytest.fixture
def holding(fairlead, backend) -> Iterator[Callable[..., Held]]:
    """Makes two pools: one whose policy holds the lock until it is released, another beside it."""
    made: list[Held] = []

    def make(top: str = "", **more: Any) -> Held:
        held = Held(fairlead, backend, top, **more)
        made.append(held)
        rows = held.balancer.backends
        wait_for(lambda: all(each["health"] == "healthy" for each in rows("other").values()))
        return held

    yield make
    for held in made:
        held.go()


@pytest.fixture
def held(holding) -> Held:
    """Such two pools, with nothing more to them."""
    return holding()
