from __future__ import annotations

import click
import pytest

from fairlead.cli.command import Command, Commands, UnknownCommandError, Whole


def test_help_begins_with_examples_and_never_breaks_them():
    long = "fairlead " + "word " * 30
    command = Command(
        "x",
        help="What it does.",
        examples=[(long.strip(), "A meaning.")],
        arguments=[("ARG", "An argument.")],
    )
    text = command.get_help(click.Context(command, info_name="fairlead x"))

    assert text.startswith(f"Examples:\n  {long.strip()}\n    A meaning.\n\nUsage: ")
    assert "Arguments:\n  ARG  An argument." in text


def test_help_without_examples_begins_with_usage():
    command = Command("x", help="What it does.")

    assert command.get_help(click.Context(command, info_name="x")).startswith("Usage: x")


def test_commands_are_found_by_name():
    group = Commands(name="fairlead")
    ctx = click.Context(group)

    assert "http" in group.list_commands(ctx)
    assert group.get_command(ctx, "nope") is None
    with pytest.raises(UnknownCommandError):
        group.resolve_command(ctx, ["nope"])


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("256", 256), (7, 7)])
def test_whole_numbers(text, number):
    assert Whole(0, 256).convert(text, None, None) == number


@pytest.mark.parametrize("text", ["257", "-1", "1.5", "x", "", "9" * 40, "\N{SUPERSCRIPT TWO}"])
def test_what_is_no_whole_number(text):
    with pytest.raises(click.BadParameter) as caught:
        Whole(0, 256).convert(text, None, None)
    assert caught.value.message == f"`{text}` is not a whole number from 0 to 256"


def test_without_bounds_none_are_told():
    assert Whole().convert("12345", None, None) == 12345
    with pytest.raises(click.BadParameter, match=r"`x` is not a whole number$"):
        Whole().convert("x", None, None)
    with pytest.raises(click.BadParameter, match=r"`0` is not a whole number from 1 on$"):
        Whole(1).convert("0", None, None)
