"""Beside tests/wire/compat, where channels have traffic."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.compat.channels import parse_channels
from fairlead.compat.layout import NAME, Place
from fairlead.compat.shell import Shell
from fairlead.compat.table import Counts, first_shape
from fairlead.control.apply import apply
from fairlead.errors import ReloadError


def states(table):
    return [row.state for row in table.rows()]


def test_one_address_may_be_several_channels():
    shape = first_shape(parse_channels(["a", "a:80:3", "!", "a", "[::1]:81", "%"], 80))

    assert shape.places == (
        Place("a:80", "a", 80, 0, 0),
        Place("a:80#2", "a", 80, 0, 3),
        Place("a:80#3", "a", 80, 1, 0),
        Place("[::1]:81", "::1", 81, 1, 0),
    )
    assert shape.hashed == {1}


def test_rows_are_by_group_and_number(table):
    channels = table("10.0.0.1", "10.0.0.2:81:5", "!", "10.0.0.3")

    assert [row[:9] for row in channels.rows()] == [
        (0, False, 0, "ENA", "10.0.0.1", 80, 0, 0, 0),
        (0, False, 1, "ENA", "10.0.0.2", 81, 0, 0, 5),
        (1, False, 0, "ENA", "10.0.0.3", 80, 0, 0, 0),
    ]


def test_a_failure_shows_only_where_it_was_asked_for(table):
    channels = table("10.0.0.1")
    for _ in range(3):
        channels._running.engine.report_check(NAME, "10.0.0.1:80", False, "x")

    assert states(channels) == ["ENA"]
    assert asyncio.run(channels.enable(0, 0)) is False
    channels.soft = True
    assert states(channels) == ["dis"]
    assert asyncio.run(channels.enable(0, 0)) is True
    assert states(channels) == ["ENA"]


def test_by_hand_is_stronger_than_by_failure(table):
    channels = table("10.0.0.1")
    channels.soft = True
    channels.latch("10.0.0.1:80")
    assert states(channels) == ["dis"]

    assert asyncio.run(channels.disable(0, 0)) is True
    channels.release("10.0.0.1:80")

    assert states(channels) == ["DIS"]
    assert channels.targets() == []


def test_what_was_latched_is_released(table):
    channels = table("10.0.0.1", "10.0.0.2")
    channels.latch("10.0.0.2:80")
    assert [target.down for target in channels.targets()] == [False, True]

    channels.release("10.0.0.2:80")

    assert states(channels) == ["ENA", "ENA"]


def test_what_the_engine_was_told_over_the_api_shows(table):
    channels = table("10.0.0.1")

    channels._running.set_backend(NAME, "10.0.0.1:80", "draining", None)

    assert states(channels) == ["DIS"]


def test_an_address_that_is_none_changes_nothing(table):
    channels = table("10.0.0.1")
    before = channels.layout.plan
    asyncio.run(channels.disable(0, 0))

    for host, port in (("10.0.0.2", "x"), ("", "80"), ("a b", "80"), ("x/y", "80")):
        assert asyncio.run(channels.create(0, host, port)) is False
        assert asyncio.run(channels.assign(0, 0, host, port)) is False
    assert asyncio.run(channels.create(3, "no.such.host.invalid", "80")) is False
    assert asyncio.run(channels.assign(0, 0, "no.such.host.invalid", "80")) is False

    assert channels.layout.plan == before
    assert channels.count(0) == 1
    assert channels.count(3) == 0


def test_an_address_that_was_left_is_forgotten_without_connections(table):
    channels = table("10.0.0.1")
    asyncio.run(channels.assign(0, 0, "10.0.0.2", "81"))

    assert [backend.address for backend in channels.layout.value.pools[0].backends] == [
        "10.0.0.2:81"
    ]
    assert channels.rows()[0].port == 81


def test_a_limit_and_a_type_are_in_the_plan(table):
    channels = table("10.0.0.1")
    asyncio.run(channels.set_maxc(0, 0, 7))
    asyncio.run(channels.set_hashed(0, hashed=True))

    (pool,) = channels.layout.value.pools
    assert pool.backends[0].max_connections == 7
    assert [group.policy for group in pool.groups] == ["hash"]
    asyncio.run(channels.set_maxc(0, 0, 0))
    asyncio.run(channels.set_hashed(0, hashed=False))
    (pool,) = channels.layout.value.pools
    assert (pool.backends[0].max_connections, pool.groups) == (None, ())


def test_after_a_close_nobody_listens(table):
    channels = table("10.0.0.1")
    assert len(channels._running.engine.addresses()) == 1

    asyncio.run(channels.close())

    assert channels._running.engine.addresses() == []


def test_counts_add_up():
    assert Counts(1, 2, 3).plus(Counts(4, 5, 6)).minus(Counts(1, 1, 1)) == Counts(4, 6, 8)


def slowly(channels, look):
    """Make a table's changes take their time, and look at it meanwhile.

    `look` is awaited as long as names are being resolved, and again between the engine's part of
    a change and the rest: in an instance both are done by a thread.
    """
    running = channels._running

    async def change(make):
        await look()
        loaded = make(running.loaded)
        apply(running.engine, loaded.plan)
        await look()
        running.use(loaded)

    channels._change = change


async def others(channels, number):
    """What all commands that name a channel say in another conversation."""
    shell = Shell(channels)
    commands = ("show", "mrtg-bytes 0 {}", "mrtg-conns 0 {}", "enable {}", "disable {}", "reset {}")
    return [(await shell.run(command.format(number))).text for command in commands]


def test_a_channel_is_there_once_it_is_in_force(table):
    channels = table("10.0.0.1")
    seen = []

    async def look():
        assert channels.targets()
        seen.append(await others(channels, 1))

    async def create():
        assert await channels.create(0, "10.0.0.2", "81")
        return await others(channels, 1)

    slowly(channels, look)
    after = asyncio.run(create())

    nobody = "no such channel 1\n"
    for show, *answers in seen:
        assert "10.0.0.2" not in show
        assert answers == ["unknown channel\n", "unknown channel\n", nobody, nobody, nobody]
    assert len(seen) == 2
    assert "10.0.0.2" in after[0]
    assert after[3:] == [
        "channel 1 enabled\n",
        "channel 1 disabled\n",
        "channel 1 counters reset\n",
    ]


def test_a_channel_keeps_its_address_until_another_is_in_force(table):
    channels = table("10.0.0.1", "10.0.0.3")
    seen = []

    async def look():
        assert channels.targets()
        seen.append(await others(channels, 0))

    async def assign():
        await channels.disable(0, 0)
        assert await channels.assign(0, 0, "10.0.0.2", "81")
        return await others(channels, 0)

    slowly(channels, look)
    after = asyncio.run(assign())

    for show, *_ in seen[:2]:
        assert "10.0.0.1" in show
        assert "10.0.0.2" not in show
    assert "10.0.0.1" not in after[0]
    assert "10.0.0.2" in after[0]


def test_a_change_that_comes_too_late_leaves_all_as_it_was(table):
    channels = table("10.0.0.1")

    async def change(_):
        raise ReloadError("stopping", "fairlead is stopping")

    kept, channels._change = channels._change, change
    before = channels.rows()

    for late in (
        channels.create(0, "10.0.0.2", "80"),
        channels.assign(0, 0, "10.0.0.2", "80"),
        channels.set_maxc(0, 0, 7),
        channels.set_hashed(0, hashed=True),
        channels.close(),
    ):
        with pytest.raises(ReloadError):
            asyncio.run(late)
        assert channels.rows() == before
    channels._change = kept
    asyncio.run(channels.create(0, "10.0.0.3", "80"))
    assert channels.layout.shape.listens
