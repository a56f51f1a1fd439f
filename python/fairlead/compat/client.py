"""`-c` and `-i`: carry lines to the running instance, and its answers back.

Whatever a command means is decided by the instance; here is the prompt, the banner, and what
happens when nobody is there. Imports next to nothing, as scripts call it often.
"""

from __future__ import annotations

import _socket
import errno
import os

from fairlead.compat import rendezvous
from fairlead.compat.rendezvous import Greeting
from fairlead.compat.usage import NO_INPUT, ExitError, NobodyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Instance", "connect", "interact", "run_command"]

_ASK_SECONDS = 10.0
_RECEIVE_BYTES = 65_536


def run_command(instance: Instance, command: str, write: Callable[[str], None]) -> int:
    """Run one line of commands.

    Returns:
        The exit code.
    """
    text, code = instance.ask(command)
    write(text)
    return code or 0


def interact(instance: Instance, lines: Iterable[str], write: Callable[[str], None]) -> int:
    """Read commands until the end of the input or `quit`.

    Args:
        instance: Who is asked.
        lines: What is typed, read one at a time.
        write: Shows text at once, as it is.

    Returns:
        The exit code.
    """
    write("\nbalance 3.54 interactive command shell\n")
    write(f"PID of master process is {instance.pid}\n\n")
    write(f"balance[{instance.group}] ")
    for line in lines:
        text, code = instance.ask(line)
        write(text)
        if code is not None:
            return code
        write(f"balance[{instance.group}] ")
    write("\n")
    return 0


class Instance:
    """A connection to a running instance."""

    def __init__(self, connection: _socket.socket) -> None:
        """Take over a fresh connection and read the greeting."""
        self._connection = connection
        self._read = b""
        greeting = Greeting.decode(self._line())
        self.pid, self.group = greeting.pid, greeting.group

    def close(self) -> None:
        """Leave."""
        self._connection.close()

    def ask(self, line: str) -> tuple[str, int | None]:
        """Have a line of commands run: its text, and the exit code if it ends the conversation."""
        plain = line.replace("\n", " ").replace("\0", " ").encode("utf-8", "replace")
        try:
            self._connection.sendall(plain[: rendezvous.COMMAND_BYTES - 1] + b"\n")
        except OSError:
            raise NobodyError from None
        verb, group, code, length = self._line().split()
        self.group = int(group)
        text = self._bytes(int(length)).decode("utf-8", "replace")
        return text, int(code) if verb == b"end" else None

    def _line(self) -> bytes:
        while b"\n" not in self._read:
            self._receive()
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _bytes(self, count: int) -> bytes:
        while len(self._read) < count:
            self._receive()
        data, self._read = self._read[:count], self._read[count:]
        return data

    def _receive(self) -> None:
        try:
            data = self._connection.recv(_RECEIVE_BYTES)
        except OSError:
            data = b""
        if not data:
            raise NobodyError
        self._read += data


def connect(port: int, bind: str | None) -> Instance:
    """Find the instance.

    Raises:
        ExitError: Code 69 if there is none, 66 if it may not be asked.
    """
    refused = False
    for where in rendezvous.directories():
        connection = _socket.socket(_socket.AF_UNIX)
        connection.settimeout(_ASK_SECONDS)
        try:
            connection.connect(f"{where}/{rendezvous.name(port, bind)}")
        except OSError as error:
            connection.close()
            refused = refused or error.errno == errno.EACCES
            continue
        return Instance(connection)
    if refused:
        raise ExitError(NO_INPUT, "cannot open the rendezvous: " + os.strerror(errno.EACCES))
    raise NobodyError
