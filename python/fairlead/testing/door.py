"""The listening socket of a fake backend: open, refusing, or swallowing connects.

A closed port can be taken by anybody, and a test that closes and opens one again would fail now
and then. So the port is bound a second time for as long as the door exists, by a socket that
never listens: connects are refused, and nobody else gets the number.

Swallowing needs no privileges: a listening socket whose queue is full drops each further SYN, as
a host that is gone would. The queue is filled by connections of our own.

Not here: what is said on an accepted connection.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

_QUEUE = 512
_FILLERS = 4


class Door:
    """One address that can be opened, shut and blocked again and again."""

    def __init__(self, listen: str) -> None:
        """Take the address; nothing listens yet.

        Args:
            listen: ``127.0.0.1:0``, ``[::1]:0`` or ``unix:/path``. Port 0 takes a free one.
        """
        self.listening: socket.socket | None = None
        self._fillers: list[socket.socket] = []
        self._our_own: set[tuple[str, int]] = set()
        self._keeper: socket.socket | None = None
        if listen.startswith("unix:"):
            self._family = socket.AF_UNIX
            self._place: str | tuple[str, int] = listen.removeprefix("unix:")
        else:
            name, _, port = listen.rpartition(":")
            name = name.strip("[]")
            self._family = socket.AF_INET6 if ":" in name else socket.AF_INET
            self._keeper = self._bind((name, int(port)))
            self._place = _name_of(self._keeper)

    @property
    def address(self) -> str:
        """The address as a fairlead configuration writes it."""
        if isinstance(self._place, str):
            return f"unix:{self._place}"
        name, port = self._place
        return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"

    def open(self) -> socket.socket:
        """Listen. Opening an open door changes nothing but its queue."""
        self._drop_fillers()
        if self.listening is None:
            if isinstance(self._place, str):
                with contextlib.suppress(FileNotFoundError):
                    Path(self._place).unlink()
            self.listening = self._bind(self._place)
        self.listening.listen(_QUEUE)
        return self.listening

    def shut(self) -> None:
        """Refuse connects. Those that nobody had accepted yet are reset."""
        self._drop_fillers()
        if self.listening is not None:
            self.listening.close()
            self.listening = None

    def block(self) -> socket.socket:
        """Swallow connects: no answer at all, as from a host that is gone.

        The caller must have stopped accepting. Connections that were accepted before go on.
        """
        if isinstance(self._place, str):
            raise TypeError("a Unix socket can't swallow connects: they have no handshake")
        listening = self.open()
        listening.listen(0)
        for _ in range(_FILLERS):
            filler = socket.socket(self._family, socket.SOCK_STREAM)
            filler.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                filler.connect(self._place)
            self._our_own.add(_name_of(filler))
            self._fillers.append(filler)
        return listening

    def accept(self) -> socket.socket | None:
        """Accept one client's connection; ``None`` when none waits."""
        while self.listening is not None:
            try:
                accepted, peer = self.listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return None
            if not self._our_own or peer[:2] not in self._our_own:
                accepted.settimeout(0)
                return accepted
            self._our_own.discard(peer[:2])
            accepted.close()
        return None

    def close(self) -> None:
        """Give the address back."""
        self.shut()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        if isinstance(self._place, str):
            with contextlib.suppress(FileNotFoundError):
                Path(self._place).unlink()

    def _bind(self, place: str | tuple[str, int]) -> socket.socket:
        bound = socket.socket(self._family, socket.SOCK_STREAM)
        bound.settimeout(0)
        if not isinstance(place, str):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # Not on the keeper of a free port: two sockets that both say so may share a port as
            # long as neither listens, and somebody else's would be let in.
            if place[1]:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
        return bound

    def _drop_fillers(self) -> None:
        """Reset the connections that fill the queue; `accept` passes over what is left of them."""
        for filler in self._fillers:
            with contextlib.suppress(OSError):
                filler.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            filler.close()
        self._fillers.clear()


def _name_of(bound: socket.socket) -> tuple[str, int]:
    """Address and port, without what IPv6 adds to them."""
    address, port = bound.getsockname()[:2]
    return address, port
