"""Fixtures of the tests of `fairlead balance`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness.backend import Backend
from harness.inlab import BlackHole, Place, named


@pytest.fixture
def place() -> Iterator[Place]:
    """Where instances run; all of them are ended after the test."""
    made = Place()
    yield made
    made.close()


@pytest.fixture
def named_backend(backend) -> Callable[[str], Backend]:
    """Makes backends that say their name and then echo."""
    return lambda name: backend(named(name))


@pytest.fixture
def black_hole() -> Iterator[BlackHole]:
    """A port that swallows connects."""
    made = BlackHole()
    yield made
    made.close()
