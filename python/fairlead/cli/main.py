"""From the words of the command line to an exit code.

Exit codes: 0 done, 1 failed at run time, 2 wrong usage or configuration; 130 after Ctrl-C. This is
the one place that turns errors into them, so a command just raises.

Nothing is imported before it is needed: `fairlead --version` costs little more than starting
Python, and a typing error in a command is told without waiting for an event loop.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fairlead.cli import output

if TYPE_CHECKING:
    import click

    from fairlead.cli.command import Commands

__all__ = ["main"]

_DONE, _FAILED, _WRONG, _INTERRUPTED = 0, 1, 2, 130


def main() -> int:
    """Run the command that the process was started with; returns the exit code."""
    words = sys.argv[1:]
    if words[:1] == ["balance"] or os.path.basename(sys.argv[0]) == "balance":  # noqa: PTH119
        # Its own grammar and its own exit codes; scripts wait for it.
        from fairlead.cli import drop_in

        return drop_in.run(words[1:] if words[:1] == ["balance"] else words)
    try:
        if words in (["--version"], ["version"]):
            return _print_version()
        return _run(words)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        return _FAILED
    finally:
        output.close()


def _print_version() -> int:
    from fairlead import _engine

    output.data(f"fairlead {_engine.VERSION}")
    return _DONE


def _run(words: list[str]) -> int:
    import click

    from fairlead.errors import ConfigErrors, FairleadError

    commands = _commands()
    if not words and "_FAIRLEAD_COMPLETE" not in os.environ:
        # Not asked for, so it isn't data.
        output.say(commands.get_help(click.Context(commands, info_name="fairlead")))
        return _WRONG
    try:
        code = commands.main(words, prog_name="fairlead", standalone_mode=False)
    except click.UsageError as error:
        _tell_usage(error)
        return _WRONG
    except click.Abort:
        return _INTERRUPTED
    except click.ClickException as error:
        output.error(error.format_message())
        return _FAILED
    except ConfigErrors as errors:
        output.config_errors(errors)
        return _WRONG
    except FairleadError as error:
        output.error(str(error), hint=getattr(error, "hint", None))
        return _FAILED
    return code if isinstance(code, int) else _DONE


def _commands() -> Commands:
    from fairlead.cli.command import Commands

    return Commands(
        name="fairlead",
        help="A load balancer for HTTP and TCP that keeps working while its backends don't.",
        params=[_version_option()],
    )


def _version_option() -> click.Option:
    import click

    def show(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click's
        if value and not ctx.resilient_parsing:
            _print_version()
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Print the version.",
    )


def _tell_usage(error: click.UsageError) -> None:
    """What is wrong with the words, what was probably meant, and how it is done."""
    from fairlead.cli.usage import explain

    message, hint, example = explain(error)
    output.error(message, hint=hint, example=example)
