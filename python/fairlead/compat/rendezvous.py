"""Where an instance is met, by port and bind address, and how the two sides speak there.

balance has a file `balance.PORT.ADDRESS` in `/var/run/balance` and shared memory behind it; here
it is a Unix socket of that name beside fairlead's other control sockets. Whoever connects is
greeted by a line `PID GROUP`. Then each line that it sends is a command line, answered by a line
`go|end GROUP CODE LENGTH` and so many bytes of text: the group that is current now and, after
`end`, the code to exit with.

Imported by `-c` and `-i`, which scripts call often: it imports next to nothing. Doesn't know what
a command means.
"""

from __future__ import annotations

import os
import stat

from fairlead.compat.value import Value

__all__ = ["COMMAND_BYTES", "Answer", "Greeting", "directories", "name"]

_OF_ROOT = "/run/fairlead"

COMMAND_BYTES = 64 * 1024
"""So long a line of commands may be."""


class Greeting(Value):
    """What an instance says first."""

    pid: int
    group: int

    def encode(self) -> bytes:
        """As it is sent."""
        return b"%d %d\n" % (self.pid, self.group)

    @classmethod
    def decode(cls, line: bytes) -> Greeting:
        """Read the line; `ValueError` if it is something else."""
        pid, group = line.split()
        return cls(int(pid), int(group))


class Answer(Value):
    """What a line of commands came to.

    Attributes:
        text: To be shown as it is.
        group: The current group from now on.
        code: Exit with this code; `None` to go on.
    """

    text: str
    group: int
    code: int | None = None

    def encode(self) -> bytes:
        """As it is sent."""
        text = self.text.encode()
        verb = b"go" if self.code is None else b"end"
        return b"%b %d %d %d\n%b" % (verb, self.group, self.code or 0, len(text), text)


def name(port: int, bind: str | None) -> str:
    """The socket's name.

    >>> name(8080, None), name(25, "10.0.0.1")
    ('balance.8080.0.0.0.0.sock', 'balance.25.10.0.0.1.sock')
    """
    return f"balance.{port}.{bind or '0.0.0.0'}.sock"  # noqa: S104  # a name, not an address


def directories() -> list[str]:
    """Where instances may be that this user can ask, and that nobody else can have put there.

    The same places as `fairlead.control.paths` has, which a test compares.
    """
    alone, runtime = os.environ.get("FAIRLEAD_RUNTIME_DIR"), os.environ.get("XDG_RUNTIME_DIR")
    of_service = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if alone:
        found = [f"{alone}/fairlead"]
    elif of_service:
        found = [of_service, _OF_ROOT]
    else:
        usual = [f"/tmp/fairlead-{os.geteuid()}", _OF_ROOT]  # noqa: S108  # looked at below
        usual = usual[::-1] if os.geteuid() == 0 else usual
        found = [f"{runtime}/fairlead", *usual] if runtime else usual
    return [where for where in found if _is_trusted(where)]


def _is_trusted(where: str) -> bool:
    try:
        found = os.lstat(where)
    except OSError:
        return False
    # Root trusts what only root can have made, whoever it was made for.
    given = where == _OF_ROOT or "FAIRLEAD_RUNTIME_DIR" in os.environ
    known = found.st_uid in (0, os.geteuid()) or (os.geteuid() == 0 and given)
    return stat.S_ISDIR(found.st_mode) and known
