"""Beside tests/wire/compat/test_commands.py, which runs every command for real."""

from __future__ import annotations

import asyncio

from fairlead.compat.rendezvous import Answer
from fairlead.compat.shell import Shell
from fairlead.compat.table import Row


class Channels:
    """Two channels that remember what was done to them."""

    monitoring = None

    def __init__(self):
        self.told = []
        self.dies = True

    def rows(self):
        six = "2001:db8:1111:2222:3333:4444:5555:6666"
        return [
            Row(0, False, 0, "ENA", "10.0.0.1", 80, 1, 2, 3, 4, 5, "a", False),
            Row(15, True, 63, "dis", six, 65535, 10_000, 9_999_999_999, 0, 1 << 40, 0, "b", True),
        ]

    def count(self, group):
        return {0: 1, 15: 64}.get(group, 0)

    async def disable(self, group, number):
        self.told.append((group, number))
        return True

    async def kill(self):
        return self.dies


def run(line, channels=None, shell=None):
    return asyncio.run((shell or Shell(channels or Channels())).run(line))


def test_columns_have_balances_widths_and_grow_where_they_must():
    lines = run("show").text.splitlines()

    assert lines[1] == (
        "  0   RR  0 ENA         10.0.0.1    80    1           2    3           4           5"
    )
    assert len(lines[2].split()) == 11


def test_the_first_command_in_order_that_begins_so_is_meant():
    assert run("h").text.startswith("available")
    assert run("m").text == "syntax error\n", "monitor, which takes a word"
    assert run("mr 0 0").text == "5\n4\nUNKNOWN\ngroup 0 channel 0\n"
    assert run("quit").code == 0
    assert run("q").code == 0


def test_words_that_are_too_many_were_never_looked_at():
    channels = Channels()

    assert run("disable 0 and more", channels).text == "channel 0 disabled\n"
    assert channels.told == [(0, 0)]


def test_what_follows_an_end_is_not_run():
    channels = Channels()

    assert run("kill; disable 0", channels) == Answer("shutdown complete, exiting.\n", 0, 0)
    assert channels.told == []


def test_a_kill_that_fails_is_69():
    channels = Channels()
    channels.dies = False

    assert run("kill", channels) == Answer("shutdown failed.\n", 0, 69)


def test_the_group_stays_for_the_conversation():
    shell = Shell(Channels())

    assert run("group 15", shell=shell) == Answer("", 15)
    assert run("disable 63", shell=shell).text == "channel 63 disabled\n"
    assert run("disable 99999999999999999999", shell=shell).text == "syntax error\n"
