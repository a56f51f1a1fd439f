"""A real engine with channels in force, without a control loop around it."""

from __future__ import annotations

import pytest

from fairlead.compat.arguments import Arguments
from fairlead.compat.channels import parse_channels
from fairlead.compat.layout import Layout, Settings
from fairlead.compat.table import Table, first_shape
from fairlead.control.engine import start_engine
from fairlead.control.running import Running


def layout(*words, **options) -> Layout:
    """The layout of a command line: channels as typed, options by name."""
    settings = Settings(0, "127.0.0.1", Arguments(**options))
    return Layout(settings, first_shape(parse_channels(words, 80)))


@pytest.fixture
def table():
    """Makes tables of channels."""
    engines = []

    def make(*words, **options) -> Table:
        running = Running(start_engine(1), layout(*words, **options))
        engines.append(running.engine)
        running.start()

        async def change(make):
            running.use(make(running.loaded))

        return Table(running, change)

    yield make
    for engine in engines:
        engine.stop(0)
