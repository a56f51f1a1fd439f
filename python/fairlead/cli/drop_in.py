"""`fairlead balance`, and any program that is started under the name `balance`.

Decides what is printed where, and which exit codes come of it; all else is in `fairlead.compat`.
`-c` and `-i` are called from scripts, often several times a minute: what they import is little,
and nothing of the command line's own library.
"""

from __future__ import annotations

import sys

from fairlead.cli import output
from fairlead.compat.usage import SOFTWARE, USAGE_TEXT, ExitError, NobodyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fairlead.compat.arguments import Arguments

__all__ = ["main", "run"]

_INTERRUPTED = 130


def main() -> int:
    """Run as `balance`, as the process was started; returns the exit code."""
    return run(sys.argv[1:])


def run(words: Sequence[str]) -> int:
    """Run a command line of balance.

    Args:
        words: What follows the program's name.

    Returns:
        The exit code, one of sysexits.h.
    """
    try:
        return _run(words)
    except UsageError as error:
        if str(error):
            output.say(f"balance: {error}")
        output.say(USAGE_TEXT.rstrip("\n"))
        return error.code
    except ExitError as error:
        # That nobody is there is an answer to a question: balance prints it where answers go.
        (output.data if isinstance(error, NobodyError) else output.say)(str(error))
        return error.code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        return SOFTWARE
    finally:
        output.close()


def _run(words: Sequence[str]) -> int:
    from fairlead.compat.arguments import parse_arguments
    from fairlead.compat.port import parse_port

    if list(words) == ["--help"]:
        output.piece(USAGE_TEXT)
        return 0
    arguments = parse_arguments(words)
    port = parse_port(arguments.port)
    if port is None:
        raise UsageError(f"invalid port number [{arguments.port}]")
    if arguments.command is not None or arguments.interactive:
        return _ask(arguments, port)
    return _serve(arguments, port)


def _ask(arguments: Arguments, port: int) -> int:
    from fairlead.compat.client import connect, interact, run_command
    from fairlead.compat.identity import identity

    instance = connect(port, identity(arguments.bind))
    try:
        if arguments.command is not None:
            return run_command(instance, arguments.command, output.piece)
        return interact(instance, _lines(), output.piece)
    finally:
        instance.close()


def _lines() -> Iterator[str]:
    """What is typed, line by line, as soon as each is whole."""
    while line := sys.stdin.readline():
        yield line


def _serve(arguments: Arguments, port: int) -> int:
    from fairlead.compat.channels import parse_channels
    from fairlead.compat.daemon import Report, detach

    # What is wrong with the words alone is told with the usage, and before anything is started.
    parse_channels(arguments.channels, port)

    def in_background(report: Report) -> int:
        from fairlead.compat.serve import prepare, serve

        try:
            return serve(prepare(arguments, port), lambda _: None, report.ready)
        except ExitError as error:
            report.tell(str(error))
            return error.code

    if not arguments.foreground:
        return detach(in_background, output.say)
    from fairlead.compat.serve import prepare, serve

    prepared = prepare(arguments, port)
    if arguments.debug:
        output.say("the following channels are active:")
        for line in prepared.layout.listing():
            output.say(line)
    return serve(prepared, output.tell, lambda: output.tell("ready"))
