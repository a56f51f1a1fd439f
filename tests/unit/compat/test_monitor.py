"""Which results are reported, and who is checked; with time, tests/wire/compat/test_monitoring.py."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from fairlead.compat.monitor import Monitor, Target, connect, fill_in
from fairlead.compat.spec import parse_spec


class Channels:
    """Channels whose health a test decides."""

    def __init__(self, *, down=False):
        self.down = down
        self.address = ("127.0.0.1", 9)
        self.released = []

    def targets(self):
        return [Target("a", (self.address,), self.down)]

    def release(self, name):
        self.released.append(name)


def rounds(spec, count=1, *, down=False, hold_back=False):
    """What some rounds of checks report of one channel."""
    channels, reported = Channels(down=down), []

    def report(_pool, _name, passed, _what):
        reported.append(passed)

    async def run():
        monitor = Monitor(parse_spec(spec, 5), channels, report, source=None, hold_back=hold_back)
        for _ in range(count):
            await monitor._round(everybody=True)

    asyncio.run(run())
    return reported, channels.released


def test_every_result_is_reported():
    assert rounds("command=exit 1", 2) == ([False, False], [])
    assert rounds("command=true", 2) == ([True, True], [])


def test_failures_are_held_back_where_one_would_be_enough():
    assert rounds("command=exit 1:fall=3", 2, hold_back=True) == ([], [])
    assert rounds("command=exit 1:fall=3", 4, hold_back=True) == ([False, False], [])
    assert rounds("command=exit 1:fall=3", 1, hold_back=True, down=True) == ([False], [])


def test_enough_passes_release():
    assert rounds("command=true:rise=3", 2, down=True)[1] == []
    assert rounds("command=true:rise=3", 3, down=True)[1] == ["a"]


def test_only_what_a_result_could_change_is_checked():
    assert rounds("command=true:noenable", down=True) == ([], [])
    assert rounds("command=true:nodisable", down=False) == ([], [])
    assert rounds("command=true:nodisable", down=True) == ([True], ["a"])


def test_an_error_is_no_result():
    assert rounds("command=kill -9 $$", 2) == ([], [])


def test_the_first_action_that_fails_decides():
    assert rounds("connect:command=true") == ([False], [])


def test_a_connect_says_what_it_saw():
    async def run(place, source=None):
        return await connect(place, 5, source)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
        assert asyncio.run(run(place)).passed
        assert asyncio.run(run(place, "127.0.0.7")).passed
        listener.settimeout(5)
        for source in ("127.0.0.1", "127.0.0.7"):
            accepted, came_from = listener.accept()
            accepted.close()
            assert came_from[0] == source
    refused = asyncio.run(run(place))
    assert (refused.passed, refused.what) == (False, "connection refused")
    assert asyncio.run(run(place, "192.0.2.1")) is None, "our own fault is nobody's"


@pytest.mark.parametrize(
    ("line", "filled"),
    [
        ("x %H %P", "x 10.0.0.1 25"),
        ("x %S", "x 10.0.0.1"),
        ("%%H %x %", "%H %x %"),
    ],
)
def test_places_are_filled_in(line, filled):
    assert fill_in(line, "10.0.0.1", 25) == filled


def test_resting_is_not_spinning():
    """Urgent news while it rests must not keep it busy."""

    async def run():
        monitor = Monitor(
            parse_spec("connect", 5), Channels(), lambda *_: None, source=None, hold_back=False
        )
        monitor.enabled = False
        running = asyncio.ensure_future(monitor.run())
        monitor.look_at("a")
        for _ in range(5):
            await asyncio.sleep(0)
        quiet = not monitor._news.is_set() and not monitor._urgent
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return quiet

    assert asyncio.run(run())
