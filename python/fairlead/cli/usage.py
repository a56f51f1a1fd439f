"""What is said about a command line that can't be understood.

Decides the words, and which known name was probably meant. Imported only when something is wrong.
"""

from __future__ import annotations

import click

from fairlead.cli.command import Command, UnknownCommandError
from fairlead.cli.table import COMMANDS
from fairlead.config.suggest import nearest

__all__ = ["explain"]

_NOT_YET = {"why": "explaining single requests"}


def explain(error: click.UsageError) -> tuple[str, str | None, str | None]:
    """Message, hint and example for a usage error."""
    ctx = error.ctx
    command = ctx.command if ctx else None
    example = command.examples[0][0] if isinstance(command, Command) and command.examples else None
    example = example or "fairlead http :8080 app1:8000 app2:8000"
    path = ctx.command_path if ctx else "fairlead"
    if isinstance(error, click.exceptions.NoSuchOption):
        return *_no_option(error, path), example
    if isinstance(error, UnknownCommandError):
        return *_no_command(error), example
    if isinstance(error, click.MissingParameter) and error.param is not None:
        name = error.param.human_readable_name.rstrip(".")
        return f"`{path}` needs {name}", f"`{path} --help` explains it", example
    if isinstance(error, click.BadParameter) and error.param is not None:
        is_option = isinstance(error.param, click.Option)
        shown = error.param.opts[0] if is_option else error.param.human_readable_name
        return f"`{shown}`: {_plain(error.message)}", f"`{path} --help` explains it", example
    return _plain(error.format_message()), f"`{path} --help` explains it", example


def _no_option(error: click.exceptions.NoSuchOption, path: str) -> tuple[str, str]:
    known = []
    if error.ctx is not None:
        known = [name for param in error.ctx.command.params for name in param.opts]
    meant = nearest(error.option_name, [name for name in known if name.startswith("--")])
    hint = f"did you mean `{meant}`?" if meant else f"`{path} --help` lists the options"
    return f"`{path}` has no option `{error.option_name}`", hint


def _no_command(error: UnknownCommandError) -> tuple[str, str]:
    name = error.name
    if name in _NOT_YET:
        message = f"`fairlead {name}` ({_NOT_YET[name]}) is not available in this version"
        return message, "`fairlead --help` lists the commands"
    meant = nearest(name, [row.name for row in COMMANDS])
    hint = f"did you mean `fairlead {meant}`?" if meant else "`fairlead --help` lists the commands"
    return error.message, hint


def _plain(message: str) -> str:
    """Click's sentences in our form: lower case, no full stop, backticks."""
    message = message.rstrip(".").replace("'", "`")
    return message[:1].lower() + message[1:]
