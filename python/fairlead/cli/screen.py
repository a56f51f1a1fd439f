"""A terminal that shows one text at a time: what `fairlead top` draws on.

Decides how a screen is taken, drawn and given back, and which key ends it. Doesn't know what it
shows. A line that is too long is cut, and so is a text that is too high, which says so.
"""

from __future__ import annotations

import re
import select
import shutil
import sys
import termios
import tty
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

__all__ = ["Screen", "fit"]

# Another screen, so that what was on the terminal comes back; and no cursor.
_TAKE, _GIVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"
_HOME, _REST_OF_LINE, _REST = "\033[H", "\033[K", "\033[J"
_PIECES = re.compile(r"\033\[[0-9;]*m|.", re.DOTALL)
_QUIT = "qQ\x1b\x04"


class Screen:
    """The whole terminal, for as long as the ``with`` lasts."""

    def __init__(self) -> None:
        """Nothing is taken before ``with``."""
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        """Take it. Keys come one by one where standard input is a terminal."""
        if sys.stdin.isatty():
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        sys.stdout.write(_TAKE)
        sys.stdout.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give it back as it was."""
        sys.stdout.write(_GIVE)
        sys.stdout.flush()
        if self._before is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def show(self, text: str) -> None:
        """Show this in the place of what was there. Drawn over it, so that nothing flickers."""
        columns, rows = shutil.get_terminal_size()
        lines = fit(text, columns, rows)
        sys.stdout.write(_HOME + "".join(f"{line}{_REST_OF_LINE}\r\n" for line in lines[:-1]))
        sys.stdout.write(f"{lines[-1]}{_REST_OF_LINE}{_REST}")
        sys.stdout.flush()

    def wait(self, seconds: float) -> bool:
        """Wait so long; true at once if a key says that it is enough."""
        if self._before is None:
            select.select([], [], [], seconds)
            return False
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return bool(ready) and sys.stdin.read(1) in _QUIT


def fit(text: str, columns: int, rows: int) -> list[str]:
    r"""The lines of a text as far as they fit; at least one.

    >>> fit("one two\nthree\nfour", 5, 2)
    ['one t', '… 2 m']
    """
    lines = text.split("\n")
    if len(lines) > rows:
        more = len(lines) - rows + 1
        lines = [*lines[: rows - 1], f"… {more} more lines"]
    return [_cut(line, columns) for line in lines]


def _cut(line: str, columns: int) -> str:
    """The line up to so many characters; colours take no room."""
    room, kept = columns, []
    for piece in _PIECES.findall(line):
        if piece[0] == "\033":
            kept.append(piece)
        elif room:
            kept.append(piece)
            room -= 1
    return "".join(kept)
