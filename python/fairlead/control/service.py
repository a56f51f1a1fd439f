"""What a service manager passes to fairlead, and what it is told.

systemd's protocols, which others speak, too: a few variables and datagrams, so that its library
isn't needed.

Sockets that it has opened come by their number (``LISTEN_FDS``) and name. How things go is told to
``NOTIFY_SOCKET``. The watchdog is the engine's: whether traffic flows doesn't depend on Python, so
Python must not be what is asked.

Not here: which listener a socket is for (the engine finds it by its address), the order of a start
(`run`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from fairlead.control.paths import Listening
from fairlead.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from fairlead.control.engine import Engine

_FIRST = 3
"""Passed sockets are numbered from here on, behind the standard streams."""


class Passed(NamedTuple):
    """A socket that this process was started with.

    Attributes:
        name: ``FileDescriptorName=`` of its unit; the unit's own name if that says none.
        number: Its descriptor.
        address: Where it listens, in the engine's words.
    """

    name: str
    number: int
    address: str


class Manager:
    """The service manager that has started this process, if one has."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Take what is meant for this process out of its environment; no child is to believe it.

        Args:
            environment: `os.environ`.
        """
        self.socket = environment.pop("NOTIFY_SOCKET", "")
        micros = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        ours = bool(self.socket) and pid in ("", str(os.getpid())) and micros.isdecimal()
        # Twice as often as it must be.
        self.watchdog_seconds = int(micros) / 2e6 if ours else 0.0
        count = environment.pop("LISTEN_FDS", "")
        names = environment.pop("LISTEN_FDNAMES", "").split(":")
        for_us = environment.pop("LISTEN_PID", "") == str(os.getpid())
        self._numbers = range(_FIRST, _FIRST + int(count)) if for_us and count.isdecimal() else ()
        self._names = names + [""] * (len(self._numbers) - len(names))

    def hand_over(self, engine: Engine) -> list[Passed]:
        """Give the sockets that were passed to the engine.

        Raises:
            EngineError: One of them can't be listened on.
        """
        taken = []
        for number, name in zip(self._numbers, self._names, strict=False):
            # A child that inherited it would keep the address taken after our end.
            with contextlib.suppress(OSError):
                os.set_inheritable(number, False)  # noqa: FBT003
            try:
                address = engine.inherit(name, number)
            except OSError as error:
                problem = f"the socket `{name}` that this process was started with: {error}"
                hint = "`ListenStream=` makes sockets for fairlead"
                raise EngineError(problem, hint) from None
            taken.append(Passed(name, number, address))
        return taken

    def watch(self, engine: Engine) -> None:
        """Have the engine tell that it is alive, if the manager wants to know."""
        if self.watchdog_seconds:
            # An address that is none is nobody's who waits: left over from something else.
            with contextlib.suppress(OSError):
                engine.watch(self.socket, self.watchdog_seconds)

    # -- telling ---------------------------------------------------------------------------

    def ready(self, status: str) -> None:
        """Clients are let in, or a reload is over."""
        self._tell(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """A reload begins; `ready` says that it is over."""
        micros = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading")

    def stopping(self, why: str) -> None:
        """The end begins."""
        self._tell(f"STOPPING=1\nSTATUS={why}: finishing what is under way")

    def _tell(self, text: str) -> None:
        if not self.socket:
            return
        address = "\0" + self.socket[1:] if self.socket.startswith("@") else self.socket
        # Who takes nothing is not waited for: traffic has nothing to do with it.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sending,
        ):
            sending.sendto(text.encode(), address)


def admin_socket(passed: list[Passed], listen: str) -> Listening | None:
    """The socket that was passed for an admin address, if one was.

    Args:
        passed: What came.
        listen: The address as configured.
    """
    if listen.startswith("localhost:"):
        listen = listen.replace("localhost", "127.0.0.1")
    wanted = f"[::]{listen}" if listen.startswith(":") else listen
    number = next((each.number for each in passed if each.address == wanted), None)
    if number is None:
        return None
    ours = socket.socket(fileno=os.dup(number))
    ours.listen()
    ours.settimeout(0)
    # Its file, if it has one, is the manager's.
    return Listening(ours, None)


def unused(passed: list[Passed], used: list[str]) -> list[str]:
    """A line about each socket that nobody here listens on: its clients wait for nothing."""
    return [
        f"the socket `{each.name}` on {each.address} was passed to fairlead, and no listener has "
        "this address: its clients will wait in vain"
        for each in passed
        if each.address not in used
    ]
