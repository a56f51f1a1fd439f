"""How a command is declared and how its help page looks: examples first, then every option.

Decides the layout of help pages and how the group finds its commands (by the table, importing
only the one that was asked for). Doesn't know what any command does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from fairlead.cli.table import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Command",
    "Commands",
    "UnknownCommandError",
    "Whole",
    "instance_option",
    "json_option",
]

# Generic only in newer versions of click than we need.
if TYPE_CHECKING:
    _Type = click.ParamType[int]
else:
    _Type = click.ParamType

_HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class Command(click.Command):
    """A command whose help begins with examples.

    Attributes:
        examples: Lines to type, each with what it does.
        arguments: The positional arguments, each with its meaning.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[tuple[str, str]] = (),
        arguments: Sequence[tuple[str, str]] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("context_settings", _HELP_NAMES)
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.arguments = arguments

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, usage, meaning, arguments, options."""
        if self.examples:
            with formatter.section("Examples"):
                _write_examples(self.examples, formatter)
            formatter.write_paragraph()
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        if self.arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(self.arguments)
        self.format_options(ctx, formatter)


def _write_examples(examples: Sequence[tuple[str, str]], formatter: click.HelpFormatter) -> None:
    """Each line as it is typed (never wrapped: it is copied), and what it does below it."""
    for line, meaning in examples:
        formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        formatter.indent()
        formatter.write_text(meaning)
        formatter.dedent()


_EXAMPLES = (
    ("fairlead http :8080 app1:8000 app2:8000", "Share the requests to port 8080 between two."),
    ("fairlead run fairlead.toml", "Do what a configuration file says."),
    ("fairlead demo", "See what happens to clients while backends fail."),
)


class UnknownCommandError(click.UsageError):
    """There is no such command."""

    def __init__(self, name: str, ctx: click.Context) -> None:
        super().__init__(f"there is no command `{name}`", ctx)
        self.name = name


class Commands(click.Group):
    """The commands of the table."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, context_settings=_HELP_NAMES)
        self._rows = {row.name: row for row in COMMANDS}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the table's order."""
        del ctx
        return list(self._rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name."""
        del ctx
        row = self._rows.get(cmd_name)
        if row is None:
            return None
        command = getattr(import_module(f"fairlead.cli.commands.{row.file}"), row.name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is our own error, which knows what was meant."""
        name = args[0]
        if name not in self._rows and not name.startswith("-") and not ctx.resilient_parsing:
            raise UnknownCommandError(name, ctx)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, usage, the commands by section, options."""
        with formatter.section("Examples"):
            _write_examples(_EXAMPLES, formatter)
        formatter.write_paragraph()
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        for section in dict.fromkeys(row.section for row in COMMANDS):
            with formatter.section(section):
                formatter.write_dl(
                    [(row.name, row.text) for row in COMMANDS if row.section == section]
                )
        self.format_options(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("`fairlead COMMAND --help` explains a command, with examples.")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: `format_help` wrote them by section."""


class Whole(_Type):
    """A whole number, from ``low`` to ``high`` if they are given."""

    name = "whole number"

    def __init__(self, low: int | None = None, high: int | None = None) -> None:
        self._low, self._high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, or a usage error."""
        if isinstance(value, int):
            return value
        text = str(value)
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
        if number is None or not (self._low or 0) <= number <= (self._high or number):
            self.fail(f"`{text}` is not a whole number{self._bounds()}", param, ctx)
        return number

    def _bounds(self) -> str:
        if self._high is not None:
            return f" from {self._low} to {self._high}"
        return f" from {self._low} on" if self._low is not None else ""


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")

instance_option = click.option(
    "--instance",
    metavar="WHICH",
    help="Which running fairlead to ask, if there are several: its process id, its configuration "
    "file, or its control socket.",
)
