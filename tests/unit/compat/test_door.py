"""The wire of `rendezvous`, spoken by hand."""

from __future__ import annotations

import asyncio
import os

import pytest

from fairlead.compat.door import Rendezvous
from fairlead.control import paths


class Channels:
    """Nobody there: enough for commands that look at none."""

    def count(self, group):
        del group
        return 0


@pytest.fixture
def met(short_path, monkeypatch):
    """Runs a conversation with an instance: what it says to these bytes."""
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(short_path))

    def talk(data: bytes) -> bytes:
        async def run():
            listening = paths.listen_named("balance.1.x.sock")
            door = Rendezvous(Channels(), listening)
            door.open()
            reader, writer = await asyncio.open_unix_connection(str(listening.path))
            writer.write(data)
            writer.write_eof()
            said = await reader.read()
            writer.close()
            door.close()
            return said

        return asyncio.run(run())

    return talk


def test_it_greets_and_answers_line_by_line(met):
    greeting = b"%d 0\n" % os.getpid()

    assert met(b"group 15\nreset x\n") == greeting + b"go 15 0 0\ngo 15 0 13\nsyntax error\n"
    assert met(b"quit\nshow\n") == greeting + b"end 0 0 0\n"


def test_half_a_line_is_no_command(met):
    assert met(b"kill") == b"%d 0\n" % os.getpid()


def test_a_line_without_end_is_cut_off(met):
    assert met(b"x" * 200_000) == b"%d 0\n" % os.getpid()
