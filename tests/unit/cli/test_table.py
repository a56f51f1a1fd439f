from __future__ import annotations

import click
import pytest

from fairlead.cli.command import Commands
from fairlead.cli.table import COMMANDS


def test_names_are_given_once():
    assert len({row.name for row in COMMANDS}) == len(COMMANDS)


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_every_command_is_there_and_teaches(row):
    group = Commands(name="fairlead")
    command = group.get_command(click.Context(group), row.name)

    assert command is not None
    assert command.name == row.name
    assert not row.text.endswith(".")
    assert command.examples
    assert all(line.startswith("fairlead ") or " fairlead " in line for line, _ in command.examples)
    assert all(meaning.endswith(".") for _, meaning in command.examples)
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            assert param.help
