"""HTTP for the control plane: one connection, read with h11, answered by a function.

Everything is bounded: head, body, time for a request, time between two, time for a reader to take
what was written. Whatever a client sends costs at most its own connection. Traffic never passes
here; the data plane has its own HTTP.

Not here: which paths exist (`api`), who may ask (`guard`), where it listens (`socket`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h11

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

HEAD_BYTES_MAX = 16 * 1024
"""A request's head, all of it. The longest path is a Unix socket's, percent-encoded."""

BODY_BYTES_MAX = 64 * 1024
"""A request's body. The largest that any route takes is some tens of bytes."""

_REQUEST_SECONDS = 10.0
_IDLE_SECONDS = 60.0
_WRITE_SECONDS = 30.0
_READ = 1 << 14


@dataclass(frozen=True, slots=True)
class Request:
    """A request, whole.

    Attributes:
        method: Upper case; ``HEAD`` arrives as ``GET``.
        target: As sent, query included, still percent-encoded.
        headers: Lower-case names; of a repeated one the last.
        body: All of it.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """A response: a body, or pieces that come with time."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    pieces: AsyncGenerator[bytes, None] | None = None


class ApiError(Exception):
    """What a route raises to refuse; becomes an ``{"error": …}`` answer.

    Attributes:
        status: The status code.
        code: A name for programs, such as ``unknown_pool``.
        hint: What to do about it, or ``None``.
        headers: Further header lines of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.hint = hint
        self.headers = headers

    def response(self) -> Response:
        """The answer."""
        error = {"code": self.code, "message": str(self), "hint": self.hint}
        return as_json({"error": error}, self.status, self.headers)


def as_json(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """A response of one JSON value, with a line feed for terminals."""
    return Response(status, json.dumps(value).encode() + b"\n", headers=headers)


@dataclass(slots=True)
class Exchanges:
    """The requests of one connection, one after the other."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answer: Callable[[Request], Awaitable[Response]]
    _connection: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
    )
    _is_head: bool = False

    async def run(self) -> None:
        """Answer until either side ends it. Raises nothing but cancellation."""
        with (
            contextlib.closing(self.writer),
            contextlib.suppress(OSError, TimeoutError, h11.LocalProtocolError),
        ):
            while await self._exchange():
                self._connection.start_next_cycle()

    async def _exchange(self) -> bool:
        """Read and answer one request; whether another may follow."""
        try:
            request = await self._read()
            if request is None:
                return False
            response = await self._respond(request)
        except h11.RemoteProtocolError as error:
            refusal = ApiError(error.error_status_hint, "bad_request", str(error))
            response = refusal.response()
        except ApiError as error:
            response = error.response()
        await self._write(response)
        connection = self._connection
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    async def _respond(self, request: Request) -> Response:
        try:
            return await self.answer(request)
        except (ApiError, asyncio.CancelledError):
            raise
        except Exception as error:
            # A fault of ours must cost this answer and nothing else.
            text = f"{type(error).__name__}: {error}"
            raise ApiError(500, "internal", text, hint="this is a bug in fairlead") from error

    async def _read(self) -> Request | None:
        async with asyncio.timeout(_IDLE_SECONDS):
            event = await self._next()
        if not isinstance(event, h11.Request):
            return None
        self._is_head = event.method == b"HEAD"
        body = bytearray()
        async with asyncio.timeout(_REQUEST_SECONDS):
            if self._connection.they_are_waiting_for_100_continue:
                interim = h11.InformationalResponse(status_code=100, headers=[])
                await self._send(self._connection.send(interim))
            while isinstance(piece := await self._next(), h11.Data):
                body += piece.data
                if len(body) > BODY_BYTES_MAX:
                    message = f"the body is longer than {BODY_BYTES_MAX} bytes"
                    raise ApiError(413, "body_too_large", message)
        return Request(
            method="GET" if self._is_head else event.method.decode("latin-1"),
            target=event.target.decode("latin-1"),
            headers={
                name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers
            },
            body=bytes(body),
        )

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._connection.next_event()
            if not isinstance(event, type) or event is h11.PAUSED:
                return event
            self._connection.receive_data(await self.reader.read(_READ))

    async def _write(self, response: Response) -> None:
        headers = [
            ("Content-Type", response.content_type),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *response.headers,
        ]
        connection = self._connection
        if response.pieces is None:
            headers.append(("Content-Length", str(len(response.body))))
        if connection.their_state is not h11.DONE:
            # The rest of the request isn't read, so nothing that follows could be understood.
            headers.append(("Connection", "close"))
        out = connection.send(h11.Response(status_code=response.status, headers=headers))
        if response.body and not self._is_head:
            out += connection.send(h11.Data(data=response.body))
        if response.pieces is not None and not self._is_head:
            await self._send(out)
            out = b""
            async with contextlib.aclosing(response.pieces) as pieces:
                async for piece in pieces:
                    await self._send(connection.send(h11.Data(data=piece)))
        await self._send(out + connection.send(h11.EndOfMessage()))

    async def _send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(_WRITE_SECONDS):
            await self.writer.drain()
