"""Where the admin API is reached: the control socket, and ``[admin] listen`` if configured.

One `Door` for each. What is spoken there is HTTP, on a Unix socket too, so that ``curl`` can ask.
A door answers also when clients have taken all of the process' files: it holds one back for the
operator who wants to know what is going on.

Not here: paths and binding (`paths`), HTTP (`http`), who may ask (`guard`), the answers (`api`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING

from fairlead.control import paths
from fairlead.control.http import Exchanges
from fairlead.control.routes import SMALL

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.control.api import Api
    from fairlead.control.guard import Access
    from fairlead.control.http import Request
    from fairlead.control.paths import Listening

_CONNECTIONS_MAX = 256
_READ_AHEAD = 1 << 16
_RETRY_SECONDS = 0.25


class Door:
    """One address at which the API is answered. Made and used inside an event loop."""

    def __init__(self, api: Api | None, listening: Listening, access: Access) -> None:
        """Nothing is answered before `open`.

        Args:
            api: What answers; `None` where something else is spoken (`_speak`).
            listening: Where; closed by `close`.
            access: Who may ask there.
        """
        self._api = api
        self._listening = listening
        self.access = access
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[asyncio.Task[None], Exchanges | None] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._reserve: int | None = None

    @property
    def path(self) -> Path | None:
        """The file that is removed at the end, if there is one."""
        return self._listening.path

    @property
    def number(self) -> int:
        """The descriptor of what listens; -1 once it is closed."""
        return self._listening.socket.fileno()

    def open(self) -> None:
        """Begin to answer."""
        self._keep_reserve()
        self._loop.add_reader(self._listening.socket, self._accept)

    def close(self) -> None:
        """Stop at once; answers under way are cut. Closing twice is fine."""
        self._close_listening()
        for task in self._tasks:
            task.cancel()

    def retire(self) -> None:
        """Take nothing new, but finish answers that are under way: one may tell of this."""
        self._close_listening()
        for task, exchanges in self._tasks.items():
            if exchanges is not None and exchanges.is_busy:
                exchanges.is_last = True
            else:
                task.cancel()

    def _close_listening(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._give_reserve()
        # By the second time the file may be another's.
        if self._listening.socket.fileno() >= 0:
            self._loop.remove_reader(self._listening.socket)
            paths.close(self._listening)

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self._make_room()
            return
        connection.settimeout(0)
        if len(self._tasks) >= _CONNECTIONS_MAX:
            connection.close()
            return
        task = asyncio.ensure_future(self._serve(connection))
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        # One that is cancelled before its first step closes nothing.
        task.add_done_callback(lambda _: connection.close())

    def _make_room(self) -> None:
        """Files have run out: give the one held back; if that is gone, wait a little."""
        if self._reserve is not None:
            self._give_reserve()
            return
        self._loop.remove_reader(self._listening.socket)
        self._retry = self._loop.call_later(_RETRY_SECONDS, self.open)

    async def _serve(self, connection: socket.socket) -> None:
        reader = asyncio.StreamReader(_READ_AHEAD)
        protocol = asyncio.StreamReaderProtocol(reader)
        with contextlib.closing(connection):
            transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, connection)
            writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
            await self._speak(reader, writer, connection)
            # The transport closes the socket once all is written; ours is only for failures.
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _speak(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: socket.socket,
    ) -> None:
        assert self._api is not None, "who has no API speaks something else"
        local = _local(connection)
        exchanges = Exchanges(
            reader, writer, self._api.answer, lambda head: self._admit(head, local)
        )
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = exchanges
        await exchanges.run()

    def _admit(self, head: Request, local: str) -> int:
        """Whether the request may come; how long its body may be."""
        assert self._api is not None, "who has no API speaks something else"
        route = self._api.find(head)
        self.access.check(head, route, local)
        return route.body.bytes_max if route is not None and route.body is not None else SMALL

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            # A client that went away in the middle is nobody's concern.
            task.exception()
        self._keep_reserve()

    def _keep_reserve(self) -> None:
        """Hold a descriptor back for the time when there is none."""
        if self._reserve is None and self._listening.socket.fileno() >= 0:
            with contextlib.suppress(OSError):
                self._reserve = os.dup(self._listening.socket.fileno())

    def _give_reserve(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None


def _local(connection: socket.socket) -> str:
    """This end's address, without its port; empty on a Unix socket."""
    if connection.family == socket.AF_UNIX:
        return ""
    return str(connection.getsockname()[0])
