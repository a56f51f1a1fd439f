"""One accepted connection of a fake backend: reads, asks the script, does what it says.

HTTP is read with h11, so that what fairlead sends is judged by a strict reader that isn't ours.
Everything that the script calls raw leaves past h11.

Not here: listening, freezing, threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from http import HTTPStatus

import h11

from fairlead.testing import websocket
from fairlead.testing.script import Answer, Raw, Script, Socket
from fairlead.testing.seen import BODY_KEPT_BYTES, Seen, SeenRequest

_PIECES = 10
_HEAD_LIMIT = 1 << 20
_READ = 1 << 16
_NO_BODY = frozenset((204, 304))

_PHRASES = {status.value: status.phrase for status in HTTPStatus}

_Event = h11.Event | type[h11.PAUSED]


@dataclass(slots=True)
class Stream:
    """The two halves of a connection, and its number."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    async def send(self, data: bytes) -> None:
        """Write and wait until it went out."""
        if data:
            self.writer.write(data)
            await self.writer.drain()

    def reset(self) -> None:
        """End with RST."""
        raw = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def perform(self, raw: Raw) -> None:
        """Send raw bytes and go on as they say. The connection is of no use afterwards."""
        await self.send(raw.data)
        if raw.then == "reset":
            self.reset()
        elif raw.then == "hang":
            while await self.reader.read(_READ):
                pass


async def serve_http(stream: Stream, name: str, script: Script, seen: Seen) -> None:
    """Answer requests on one connection until either side ends it."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_LIMIT)
    while True:
        incoming = _Incoming(stream, connection, seen)
        try:
            head = await incoming.read_head()
            if head is None:
                return
            behaviour = script.next(head.target.decode("latin-1").partition("?")[0])
            early = isinstance(behaviour, Answer) and behaviour.early
            if not early:
                await incoming.read_body()
        except h11.RemoteProtocolError as error:
            # After a reset of ours the rest of the request is missing by our own doing.
            if not stream.writer.transport.is_closing():
                seen.add_garbled(str(error))
            return
        request = incoming.request()
        seen.add_request(request)
        if not isinstance(behaviour, Answer):
            await _leave_http(stream, connection, behaviour, request)
            return
        await _answer(stream, connection, behaviour, name, request)
        if early:
            await _linger(stream)
        if early or connection.our_state is not h11.DONE:
            return
        if connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _leave_http(
    stream: Stream, connection: h11.Connection, behaviour: Raw | Socket, request: SeenRequest
) -> None:
    """Do what is no answer of HTTP, or ends it. The connection is of no use afterwards."""
    if isinstance(behaviour, Raw):
        await stream.perform(behaviour)
        return
    key = request.header("sec-websocket-key")
    if key is None:
        head = h11.Response(status_code=426, headers=[("Upgrade", "websocket")])
        data = connection.send(head) + connection.send(h11.EndOfMessage())
        await stream.send(data)
        return
    lines = ["Upgrade: websocket", "Connection: Upgrade"]
    lines.append(f"Sec-WebSocket-Accept: {websocket.accept(key)}")
    await stream.send("\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode())
    with contextlib.suppress(asyncio.IncompleteReadError):
        await _converse(stream, behaviour)


async def _converse(stream: Stream, behaviour: Socket) -> None:
    """Send messages of a WebSocket back, and end as the script wants it."""
    left = behaviour.messages
    while left is None or left > 0:
        opcode, payload, final = await websocket.read_frame(stream.reader)
        await stream.send(websocket.reply(opcode, payload, final=final))
        if websocket.is_close(opcode):
            return
        if left is not None and websocket.is_message(opcode, final=final):
            left -= 1
    closing = websocket.closing(websocket.GOING_AWAY) if behaviour.then == "close" else b""
    await stream.perform(Raw(closing, behaviour.then))


async def serve_echo(stream: Stream, script: Script, seen: Seen) -> None:
    """Send back what comes, until the client's FIN; then ours."""
    while data := await stream.reader.read(_READ):
        seen.add_bytes(len(data))
        behaviour = script.next("")
        if isinstance(behaviour, Raw):
            await stream.perform(behaviour)
            return
        if isinstance(behaviour, Socket):
            raise TypeError("a backend for tcp has no WebSockets")
        if behaviour.delay_seconds:
            await asyncio.sleep(behaviour.delay_seconds)
        await stream.send(data if behaviour.body is None else behaviour.body)
    stream.writer.write_eof()


class _Incoming:
    """One request as it comes in."""

    def __init__(self, stream: Stream, connection: h11.Connection, seen: Seen) -> None:
        self._stream = stream
        self._connection = connection
        self._seen = seen
        self._head: h11.Request | None = None
        # What h11 holds back from the last request (pipelining) is the start of this head.
        self._raw = bytearray(connection.trailing_data[0])
        self._body = bytearray()
        self._body_bytes = 0

    async def read_head(self) -> h11.Request | None:
        """Read until the head is whole; ``None`` when the client ended instead."""
        event = await self._next()
        while not isinstance(event, h11.Request):
            if isinstance(event, h11.ConnectionClosed):
                return None
            event = await self._next()
        self._head = event
        end = self._raw.find(b"\r\n\r\n")
        del self._raw[end + 4 if end >= 0 else len(self._raw) :]
        return event

    async def read_body(self) -> None:
        """Read to the end of the request, asking for the body where the client waits for that."""
        if self._connection.they_are_waiting_for_100_continue:
            interim = h11.InformationalResponse(status_code=100, headers=[])
            await self._stream.send(self._connection.send(interim))
        while not isinstance(event := await self._next(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                self._body_bytes += len(event.data)
                self._body += event.data[: BODY_KEPT_BYTES - len(self._body)]

    def request(self) -> SeenRequest:
        """What was read, as a record."""
        assert self._head is not None, "the head was read before"
        headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in self._head.headers
        )
        return SeenRequest(
            connection=self._stream.number,
            method=self._head.method.decode("latin-1"),
            target=self._head.target.decode("latin-1"),
            headers=headers,
            body=bytes(self._body),
            body_bytes=self._body_bytes,
            raw_head=bytes(self._raw),
        )

    async def _next(self) -> _Event:
        while True:
            event = self._connection.next_event()
            if not isinstance(event, type) or event is h11.PAUSED:
                return event
            data = await self._stream.reader.read(_READ)
            self._seen.add_bytes(len(data))
            if self._head is None:
                self._raw += data
            self._connection.receive_data(data)


async def _answer(
    stream: Stream, connection: h11.Connection, answer: Answer, name: str, request: SeenRequest
) -> None:
    """Send one response as `answer` wants it."""
    if answer.delay_seconds:
        await asyncio.sleep(answer.delay_seconds)
    body = f"{name}\n".encode() if answer.body is None else answer.body
    if answer.echo:
        body = request.body
    headers = [("X-Backend", name), *answer.headers]
    if answer.chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif answer.status not in _NO_BODY:
        headers.append(("Content-Length", str(len(body))))
    if not answer.keep or answer.early:
        headers.append(("Connection", "close"))
    head = h11.Response(
        status_code=answer.status, headers=headers, reason=_PHRASES.get(answer.status, "")
    )
    out = connection.send(head)
    if request.method != "HEAD" and answer.status not in _NO_BODY:
        for piece in _pieces(body, answer.between_seconds):
            if answer.between_seconds:
                await stream.send(out)
                await asyncio.sleep(answer.between_seconds)
                out = b""
            out += connection.send(h11.Data(data=piece))
    # Without pauses the whole response leaves in one write, as from most frameworks.
    await stream.send(out + connection.send(h11.EndOfMessage()))


def _pieces(body: bytes, between_seconds: float) -> list[bytes]:
    """The body whole, or in ten pieces when there is to be time between them."""
    if not between_seconds or len(body) < _PIECES:
        return [body]
    size = -(-len(body) // _PIECES)
    return [body[start : start + size] for start in range(0, len(body), size)]


async def _linger(stream: Stream) -> None:
    """Read on after an early answer, so that closing doesn't turn into a reset that eats it."""
    with contextlib.suppress(OSError):
        stream.writer.write_eof()
    with contextlib.suppress(asyncio.TimeoutError):
        async with asyncio.timeout(5):
            while await stream.reader.read(_READ):
                pass
