"""Fixtures for pytest: backends that misbehave, and a balancer before them.

pytest finds this by itself where fairlead is installed. It is imported in every run, so it imports
nothing but pytest; the rest comes with the first fixture that is used.

The only module of the package that knows a test framework.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from fairlead.blocking import BlockingBalancer
    from fairlead.config.schema import Config
    from fairlead.testing.backend import FakeBackend


class MakeBackend(Protocol):
    """The type of the fixture `fairlead_backend`."""

    def __call__(
        self,
        name: str = "backend",
        *,
        protocol: Literal["http", "tcp"] = "http",
        listen: str = "127.0.0.1:0",
    ) -> FakeBackend:
        """Start a backend: see `fairlead.testing.FakeBackend`."""


class MakeBalancer(Protocol):
    """The type of the fixture `fairlead_balancer`."""

    def __call__(
        self, *what: FakeBackend | str | Config, protocol: str = "http"
    ) -> BlockingBalancer:
        """Start a balancer before these backends, or from a configuration (or its text)."""


@pytest.fixture
def fairlead_backend() -> Iterator[MakeBackend]:
    """A function that starts backends, which are stopped after the test: see `MakeBackend`."""
    from fairlead.testing.backend import FakeBackend  # noqa: PLC0415  # see above

    with ExitStack() as started:

        def make(
            name: str = "backend",
            *,
            protocol: Literal["http", "tcp"] = "http",
            listen: str = "127.0.0.1:0",
        ) -> FakeBackend:
            return started.enter_context(FakeBackend(name, protocol=protocol, listen=listen))

        yield make


@pytest.fixture
def fairlead_balancer() -> Iterator[MakeBalancer]:
    """A function that starts balancers, which are stopped after the test: see `MakeBalancer`.

    Before backends it has one listener ``web`` on a free port of 127.0.0.1 and one pool ``app``
    with fast checks, and stops without patience. A `fairlead.Config`, or the text of one, is used
    as it is.
    """
    from fairlead.testing.before import balancer_before  # noqa: PLC0415  # see above

    with ExitStack() as started:

        def make(*what: FakeBackend | str | Config, protocol: str = "http") -> BlockingBalancer:
            return started.enter_context(balancer_before(*what, protocol=protocol))

        yield make
