"""Lines for people, said without ever waiting for them to be read.

Standard error may be a pipe that nobody empties. A write to it would block whoever writes, and
here that would be the thread that answers the control socket. So lines go through a bounded queue
to a thread of their own; what doesn't fit is counted, and the count is said when there is room.
The thread starts with the first line.

Not here: the wording, nor the printing (`tell` is the command line's).
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_WAITING = 1_000


class Teller:
    """Says lines in order, from one thread."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Say through `tell`, which may block."""
        self._tell = tell
        self._lines: deque[str] = deque()
        self._lost = 0
        self._busy = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def say(self, line: str) -> None:
        """Say a line soon. Never blocks."""
        with self._changed:
            if len(self._lines) >= _WAITING:
                self._lost += 1
                return
            self._lines.append(line)
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="teller", daemon=True)
            self._thread.start()

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything was said; false if the time ran out."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._lines and not self._busy, timeout_seconds
            )

    def _run(self) -> None:
        while True:
            self._tell(self._next())
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> str:
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._lost)
            self._busy = True
            if self._lines:
                return self._lines.popleft()
            lost, self._lost = self._lost, 0
            return f"{lost} lines were lost here: nobody read standard error"
