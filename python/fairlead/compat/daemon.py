"""Into the background, without leaving anybody in the dark.

balance detaches first and finds out then: a wrong host name is told to nobody, the exit code is 0
and nothing runs. Here the child starts whatever it has to start while the parent waits; once it
is ready (clients are let in) the child lets go of the caller's terminal and pipes, and the parent
exits with 0. If it can't, the parent says why and exits with its code.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fairlead.compat.usage import OS_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Report", "detach"]

_STREAMS = (0, 1, 2)
_RECEIVE_BYTES = 65_536
_FILES_MAX = 65_536


class Report:
    """The child's way to the parent, until it is ready."""

    def __init__(self, pipe: int) -> None:
        """Report into this pipe."""
        self._pipe: int | None = pipe

    def tell(self, line: str) -> None:
        """Say a line to whoever waits; nobody does once it is ready."""
        if self._pipe is not None:
            os.write(self._pipe, line.encode("utf-8", "replace") + b"\n")

    def ready(self) -> None:
        """Let go of the caller."""
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in _STREAMS:
            os.dup2(nothing, stream)
        os.close(nothing)
        self.ended(0)

    def ended(self, code: int) -> None:
        """Say what came of it."""
        if self._pipe is not None:
            os.write(self._pipe, b"\0%d" % code)
            os.close(self._pipe)
            self._pipe = None


def detach(serve: Callable[[Report], int], tell: Callable[[str], None]) -> int:
    """Run `serve` in a process of its own, and return when it is ready or has failed.

    Args:
        serve: Runs in the child; returns its exit code.
        tell: Says to people what the child has to say, if it fails.

    Returns:
        The exit code: 0 if it is ready.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_the_child(serve, writing)
    os.close(writing)
    said, code = _listen(reading)
    if code is None:
        # It has ended without a word.
        os.waitpid(pid, 0)
        tell(said or "the instance has ended before it was ready")
        return OS_ERROR
    if code:
        os.waitpid(pid, 0)
        tell(said)
    return code


def _be_the_child(serve: Callable[[Report], int], writing: int) -> None:
    code = OS_ERROR
    try:
        os.setsid()
        # The caller may wait for the end of any file that it has given us, not only of its own.
        os.closerange(max(_STREAMS) + 1, writing)
        os.closerange(writing + 1, _FILES_MAX)
        report = Report(writing)
        try:
            code = serve(report)
        except Exception as error:  # noqa: BLE001  # whatever it is, the parent has to hear of it
            report.tell(f"{type(error).__name__}: {error}")
        report.ended(code)
    finally:
        # Not to return into what the parent was doing.
        os._exit(code)


def _listen(reading: int) -> tuple[str, int | None]:
    """What the child said, and its code; `None` if it has none."""
    data = b""
    while piece := os.read(reading, _RECEIVE_BYTES):
        data += piece
    os.close(reading)
    said, ended, code = data.partition(b"\0")
    return said.decode("utf-8", "replace").rstrip("\n"), int(code) if ended else None
