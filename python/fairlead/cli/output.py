"""The only printer: everything that fairlead writes to a terminal goes through here.

Decides what goes where (data to standard output, everything that a person reads to standard
error), when there is colour, and how tables and errors are laid out. Doesn't know what is said.

Colour repeats what the words say already; without it nothing is missing.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TextIO

    from fairlead.errors import ConfigErrors

__all__ = [
    "colourful",
    "config_errors",
    "data",
    "error",
    "json_data",
    "paint",
    "piece",
    "render_errors",
    "say",
    "table",
    "tell",
]

# Roles, not colours, are what the rest of the package names.
_ROLES = {
    "bad": "31",
    "good": "32",
    "doubt": "33",
    "place": "36",
    "quiet": "2",
    "strong": "1",
}


def colourful(stream: TextIO) -> bool:
    """Whether this stream gets colour: a terminal, or FORCE_COLOR; never with NO_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, role: str, stream: TextIO | None = None) -> str:
    """The text in the colour of a role, if the stream (standard output) gets colour."""
    if role not in _ROLES or not colourful(stream or sys.stdout):
        return text
    return f"\033[{_ROLES[role]}m{text}\033[0m"


def data(text: str) -> None:
    """Write what was asked for, to standard output, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def piece(text: str) -> None:
    """Write text as it is, to standard output, at once: a part of a line, or several."""
    sys.stdout.write(text)
    sys.stdout.flush()


def json_data(value: Any) -> None:
    """Write a value as one JSON document."""
    import json

    data(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """Write a line for people, to standard error."""
    # A log that nobody reads any more is no reason to stop.
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        _give_up(sys.stderr)


def tell(text: str) -> None:
    """Write a line of news about this process: `fairlead: ready`."""
    say(f"fairlead: {text}")


def error(message: str, *, hint: str | None = None, example: str | None = None) -> None:
    """Write what went wrong, and what to do about it."""
    lines = [f"{paint('error:', 'bad', sys.stderr)} {message}"]
    lines += [_labelled("hint", hint)] if hint else []
    lines += [_labelled("example", example)] if example else []
    say("\n".join(lines))


def _labelled(label: str, text: str) -> str:
    return f"{paint(label + ':', 'place', sys.stderr)} {text}"


def render_errors(errors: ConfigErrors | str, *, colour: bool) -> str:
    """All that is wrong with a configuration, as a person should see it.

    Args:
        errors: The errors, or their text as a running instance told it.
        colour: Whether to paint it.
    """
    text = str(errors)
    if not colour:
        return text
    return "\n".join(map(_coloured, text.split("\n")))


def config_errors(errors: ConfigErrors | str, hint: str | None = None) -> None:
    """Write what is wrong with a configuration."""
    say(render_errors(errors, colour=colourful(sys.stderr)))
    if hint:
        say(_labelled("hint", hint))


def _coloured(line: str) -> str:
    """Colour a line of an error by what it begins with."""
    head, colon, rest = line.partition(":")
    if line.startswith(("error[", "error:")):
        return f"\033[{_ROLES['bad']}m{head}{colon}\033[0m\033[{_ROLES['strong']}m{rest}\033[0m"
    if line.startswith("hint:"):
        return f"\033[{_ROLES['place']}m{head}{colon}\033[0m{rest}"
    bare = line.lstrip()
    if bare.startswith("-->"):
        return f"\033[{_ROLES['place']}m{line}\033[0m"
    gutter, bar, marked = line.partition(" | ")
    if bar and not gutter.strip() and marked.lstrip().startswith("^"):
        return f"{gutter}{bar}\033[{_ROLES['bad']}m{marked}\033[0m"
    return line


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Rows under heads, in columns as wide as their widest cell.

    Args:
        heads: The first line.
        rows: Cells; may hold colour.
        numbers: Which columns are numbers, and so stand to the right.

    >>> print(table(["BACKEND", "ACTIVE"], [["app1:8000", "3"], ["b:80", "12"]], numbers=[1]))
    BACKEND    ACTIVE
    app1:8000       3
    b:80           12
    """
    lines = [list(heads), *map(list, rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            _padded(cell, width, to_right=index in numbers)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _width(cell: str) -> int:
    """Columns that a cell takes on a terminal, without its colour."""
    if "\033" in cell:
        import re

        cell = re.sub(r"\033\[[0-9;]*m", "", cell)
    return len(cell)


def _padded(cell: str, width: int, *, to_right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if to_right else cell + space


def _give_up(stream: TextIO) -> None:
    """Let what is still to come go nowhere: whoever read it is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def close() -> None:
    """Flush standard output; that its reader is gone is no error of ours."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up(sys.stdout)
