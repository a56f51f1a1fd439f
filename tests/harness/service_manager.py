"""A parent that plays systemd: opens sockets, starts fairlead with them, hears what it tells."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

# Sockets get their numbers in the child itself, as systemd does it: its process id must be known.
_LAUNCHER = """
import os, sys
count = int(sys.argv[1])
numbers = [os.dup(int(word)) for word in sys.argv[2:2 + count]]
moved = [os.dup2(number, 100 + place) for place, number in enumerate(numbers)]
for place, number in enumerate(moved):
    os.dup2(number, 3 + place, inheritable=True)
if count:
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(count)
os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


class Manager:
    """Holds sockets by name, and a socket for notifications."""

    def __init__(self, **sockets: socket.socket) -> None:
        self.sockets = sockets
        self.folder = Path(tempfile.mkdtemp(prefix="fl-manager-"))
        self.folder.chmod(0o755)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self.folder / "notify"))
        (self.folder / "notify").chmod(0o777)
        self.told: list[dict[str, str]] = []
        """What fairlead said, each time with the moment of its arrival in ``at``."""

    @property
    def inside(self) -> list[str]:
        """What a program is started with, before its own name."""
        numbers = [each.fileno() for each in self.sockets.values()]
        for number in numbers:
            os.set_inheritable(number, True)
        return [sys.executable, "-c", _LAUNCHER, str(len(numbers)), *map(str, numbers)]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Descriptors that the child must get."""
        return tuple(each.fileno() for each in self.sockets.values())

    def environment(self, watchdog_seconds: float = 0.0) -> dict[str, str]:
        """What systemd would set."""
        variables = {
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "LISTEN_FDNAMES": ":".join(self.sockets),
        }
        if watchdog_seconds:
            variables["WATCHDOG_USEC"] = str(int(watchdog_seconds * 1e6))
        return variables

    def hear(self, key: str, patience: float = 10.0) -> dict[str, str]:
        """The next notification that says something about ``key``."""
        end = time.monotonic() + patience
        while True:
            self._notify.settimeout(max(0.001, end - time.monotonic()))
            try:
                text = self._notify.recv(4096).decode()
            except TimeoutError:
                raise AssertionError(f"nothing about {key} was told, but {self.told}") from None
            said = dict(line.split("=", 1) for line in text.splitlines())
            self.told.append({**said, "at": str(time.monotonic())})
            if key in said:
                return said

    def hears(self, key: str, patience: float) -> bool:
        """Whether something about ``key`` is told within this time."""
        try:
            self.hear(key, patience)
        except AssertionError:
            return False
        return True

    def close(self) -> None:
        """Close everything."""
        self._notify.close()
        for each in self.sockets.values():
            each.close()
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "notify").unlink()
        self.folder.rmdir()
