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
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import h11

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

HEAD_BYTES_MAX = 16 * 1024
"""A request's head, all of it. The longest path is a Unix socket's, percent-encoded."""

BODY_BYTES_MAX = 64 * 1024
"""A request's body, unless whoever admits it says something else."""

_REFUSED_BYTES_MAX = 1024 * 1024
"""So much of a body is read and thrown away after a refusal: a client that is still writing would
see a reset instead of the answer."""

_REQUEST_SECONDS = 10.0
_REFUSED_SECONDS = 0.5
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

    @property
    def has_body(self) -> bool:
        """Whether its head says that a body comes, or one is there."""
        length = self.headers.get("content-length", "0").strip()
        return bool(self.body) or length != "0" or "transfer-encoding" in self.headers

    @property
    def content_type(self) -> str:
        """The media type of its body, lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Response:
    """A response: a body, or pieces that come with time."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    pieces: AsyncGenerator[bytes, None] | None = None


# RFC 9457: without a type of its own, a problem's title is that of its status.
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
}


class ApiError(Exception):
    """What a route raises to refuse; becomes an answer as RFC 9457 has it.

    Attributes:
        status: The status code.
        code: A name for programs, such as ``unknown_pool``.
        hint: What to do about it, or ``None``.
        headers: Further header lines of the answer.
        errors: What is wrong, one by one, where it is a configuration.
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
        self.errors: tuple[dict[str, Any], ...] = ()

    def response(self) -> Response:
        """The answer."""
        problem: dict[str, Any] = {
            "type": "about:blank",
            "title": _TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": str(self),
            "code": self.code,
            "hint": self.hint,
        }
        if self.errors:
            problem["errors"] = list(self.errors)
        answer = as_json(problem, self.status, self.headers)
        return replace(answer, content_type="application/problem+json")


def as_json(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """A response of one JSON value, with a line feed for terminals."""
    return Response(status, json.dumps(value).encode() + b"\n", headers=headers)


def _any(_: Request) -> int:
    return BODY_BYTES_MAX


@dataclass(slots=True)
class Exchanges:
    """The requests of one connection, one after the other.

    Attributes:
        reader: What the client sends.
        writer: What it gets.
        answer: Answers a request that is whole.
        admit: Looks at a request's head, before its body is read: how many bytes that may have.
            May refuse it by an `ApiError`.
        is_busy: Whether a request is under way.
        is_last: Set to end the connection after the request that is under way.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answer: Callable[[Request], Awaitable[Response]]
    admit: Callable[[Request], int] = _any
    is_busy: bool = False
    is_last: bool = False
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
            # What stands behind the colon is what was sent, perhaps a header with a token.
            what = str(error).partition(":")[0]
            refusal = ApiError(error.error_status_hint, "bad_request", what)
            response = refusal.response()
        except ApiError as error:
            response = error.response()
        await self._write(response)
        self.is_busy = False
        connection = self._connection
        both_done = connection.our_state is h11.DONE and connection.their_state is h11.DONE
        return both_done and not self.is_last

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
        self.is_busy = True
        self._is_head = event.method == b"HEAD"
        request = Request(
            method="GET" if self._is_head else event.method.decode("latin-1"),
            target=event.target.decode("latin-1"),
            headers={
                name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers
            },
        )
        try:
            return replace(request, body=await self._read_body(self.admit(request)))
        except ApiError:
            await self._read_refused()
            raise

    async def _read_body(self, bytes_max: int) -> bytes:
        body = bytearray()
        async with asyncio.timeout(_REQUEST_SECONDS):
            if self._connection.they_are_waiting_for_100_continue:
                interim = h11.InformationalResponse(status_code=100, headers=[])
                await self._send(self._connection.send(interim))
            while isinstance(piece := await self._next(), h11.Data):
                body += piece.data
                if len(body) > bytes_max:
                    message = f"the body is longer than {bytes_max} bytes"
                    raise ApiError(413, "body_too_large", message)
        return bytes(body)

    async def _read_refused(self) -> None:
        """Read what is left of a request that is refused, within bounds."""
        if self._connection.they_are_waiting_for_100_continue:
            return
        left = _REFUSED_BYTES_MAX
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REFUSED_SECONDS):
                while left > 0 and isinstance(piece := await self._next(), h11.Data):
                    left -= len(piece.data)

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
