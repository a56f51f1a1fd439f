"""Where the admin API is reached: the control socket, and ``[admin] listen`` if configured.

One `Door` for each. What is spoken there is HTTP, on a Unix socket too, so that ``curl`` can ask.

Not here: paths and binding (`paths`), HTTP (`http`), who may ask (`guard`), the answers (`api`).
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from fairlead.control import guard, paths
from fairlead.control.http import Exchanges

if TYPE_CHECKING:
    from fairlead.control.api import Api
    from fairlead.control.http import Request, Response
    from fairlead.control.paths import Listening

_CONNECTIONS_MAX = 256


class Door:
    """One address at which the API is answered."""

    def __init__(self, api: Api, listening: Listening) -> None:
        """Nothing is answered before `open`.

        Args:
            api: What answers.
            listening: Where; closed by `close`.
        """
        self._api = api
        self._listening = listening
        self._tcp = listening.socket.family != socket.AF_UNIX
        self._accepting: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to answer."""
        self._accepting = await asyncio.start_server(self._accepted, sock=self._listening.socket)

    def close(self) -> None:
        """Stop at once; answers under way are cut. Closing twice is fine."""
        if self._accepting is not None:
            self._accepting.close()
        paths.close(self._listening)
        for task in self._tasks:
            task.cancel()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= _CONNECTIONS_MAX:
            writer.close()
            return
        task = asyncio.ensure_future(Exchanges(reader, writer, self._answer).run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request) -> Response:
        guard.check(request, tcp=self._tcp)
        return await self._api.answer(request)
