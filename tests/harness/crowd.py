"""Many clients and the backends that they are answered by, in one event loop.

A thread for each request (`traffic`) keeps up with some hundred a second; this keeps up with some
thousand, on kept connections, and can tell what became of each request by its id: who executed it,
how often, and when. The loop notes its own standstills (`Crowd.stall`), because a request that was
late while nobody here could run says nothing about fairlead.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self

from harness.backend import listening

TICK = 0.005
"""Seconds between two looks at the clock."""

Wait = Callable[["Request"], float | None]
"""Seconds until a request is answered; ``None``: never."""


@dataclass(frozen=True)
class Request:
    """One request as a backend gets it, whole."""

    target: str
    id: str
    """What its client calls it; empty for checks."""


@dataclass
class Answer:
    """One request as its client sees it."""

    id: str
    began: float
    took: float
    status: int
    """0: it failed, and ``by`` says how."""
    by: str
    """The name of the backend that answered."""

    @property
    def ok(self) -> bool:
        """Whether a backend has answered well."""
        return self.status == 200


class Origin:
    """A backend of a crowd. Its check page, ``/healthz``, is answered at once unless it is frozen."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.loop = loop
        self.name = name
        self.wait: Wait = lambda _: 0.0
        self.status = "200 OK"
        """What it answers to all but checks."""
        self.broken = b""
        """What it sends in the place of an answer, before it closes."""
        self.executed: Counter[str] = Counter()
        """How often each request came whole, by its id."""
        self.came: dict[str, float] = {}
        """When each came first."""
        self.frozen = False
        self.closes = False
        """Connections are closed as they are accepted."""
        self.address = ""
        self._held: list[Callable[[], None]] = []
        self._lines: set[_Backend] = set()
        self._listening: asyncio.Server | None = None
        self._closed = False

    async def listen(self, listener: socket.socket) -> None:
        """Serve what this socket accepts."""
        self.address = "{}:{}".format(*listener.getsockname()[:2])
        self._closed = False
        self._listening = await self.loop.create_server(lambda: _Backend(self), sock=listener)

    def handle(self, line: _Backend, request: Request) -> None:
        """Answer a request that has come whole, now or later."""
        if self.frozen:
            # As the process sees it: it reads no more.
            self._held.append(lambda: self.handle(line, request))
            return
        if request.id:
            self.executed[request.id] += 1
            self.came.setdefault(request.id, time.monotonic())
        check = request.target == "/healthz"
        wait = 0.0 if check else self.wait(request)
        if wait is None:
            return
        if wait:
            self.loop.call_later(wait, self._answer, line, check)
        else:
            self._answer(line, check)

    def _answer(self, line: _Backend, check: bool) -> None:
        if self.broken and not check:
            line.say(self.broken)
            line.end()
            return
        status, body = "200 OK" if check else self.status, self.name.encode()
        line.say(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def began(self, line: _Backend) -> None:
        """A connection was accepted."""
        if self._closed:
            line.reset()
            return
        if self.closes:
            line.end()
        self._lines.add(line)

    def ended(self, line: _Backend) -> None:
        """A connection has ended."""
        self._lines.discard(line)

    def freeze(self) -> None:
        """Read nothing and answer nothing; the kernel goes on accepting and acknowledging."""
        self.frozen = True

    def thaw(self) -> None:
        """Undo that: what came meanwhile is answered."""
        self.loop.call_soon_threadsafe(self._thaw)

    def _thaw(self) -> None:
        held, self._held, self.frozen = self._held, [], False
        for answer in held:
            answer()

    def cut(self) -> None:
        """Reset every connection."""
        self.loop.call_soon_threadsafe(lambda: [line.reset() for line in list(self._lines)])

    def kill(self) -> None:
        """As a process that is killed: connections are reset, new ones refused."""

        self.loop.call_soon_threadsafe(self.close)

    def close(self) -> None:
        """The same, from the loop itself."""
        self._closed = True
        server, self._listening = self._listening, None
        if server is not None:
            for listener in server.sockets:
                self.loop.remove_reader(listener.fileno())
            # After what was accepted in this turn: asyncio gives up on a connection whose server is
            # closed by then, and its socket is left to the collector.
            self.loop.call_soon(server.close)
        for line in list(self._lines):
            line.reset()


class _Speaker(asyncio.Protocol):
    """One end of a connection that speaks HTTP/1.1, as far as a crowd has to."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        while True:
            head, mark, rest = self.held.partition(b"\r\n\r\n")
            if not mark:
                return
            length = 0
            lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value for name, _, value in (e.partition(": ") for e in lines)}
            length = int(fields.get("content-length", "0"))
            if len(rest) < length:
                return
            self.held = rest[length:]
            self.heard(lines[0], fields, rest[:length])

    def heard(self, start: str, fields: dict[str, str], body: bytes) -> None:
        """A message has come whole."""

    def say(self, data: bytes) -> None:
        """Send, if anybody is still there."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def end(self) -> None:
        """Close in order."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Close with a RST."""
        if self.transport is not None:
            sock = self.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.transport.abort()


class _Backend(_Speaker):
    """A connection that an origin has accepted."""

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self._origin = origin

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._origin.began(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._origin.ended(self)

    def heard(self, start: str, fields: dict[str, str], _: bytes) -> None:
        self._origin.handle(self, Request(start.split(" ")[1], fields.get("x-id", "")))


class _Client(_Speaker):
    """A client's connection: one request at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: asyncio.Future[tuple[int, str]] | None = None
        self.gone = False

    def heard(self, start: str, fields: dict[str, str], body: bytes) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result((int(start.split(" ")[1]), body.decode()))
        if fields.get("connection", "").lower() == "close":
            self.gone = True

    def connection_lost(self, _: Exception | None) -> None:
        self.gone = True
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError("closed"))


class Crowd:
    """An event loop in a thread of its own, with clients and origins in it. Ends with its block."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._idle: dict[str, list[_Client]] = {}
        self._ids = itertools.count()
        self._gaps: list[tuple[float, float]] = []
        self._origins: list[Origin] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._ticker = asyncio.run_coroutine_threadsafe(self._tick(), self.loop)
        return self

    def __exit__(self, *_: object) -> None:
        async def end() -> None:
            for origin in self._origins:
                origin.close()
            # What was accepted last is a task of asyncio's, too: cancelled before its first step it
            # would leave its socket to the collector.
            await asyncio.sleep(TICK)
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for client in itertools.chain.from_iterable(self._idle.values()):
                client.reset()
            # Transports end in the loop's next turns.
            await asyncio.sleep(2 * TICK)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _tick(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            if now - last > 2 * TICK:
                self._gaps.append((now, now - last - TICK))
            last = now

    def stall(self, since: float) -> float:
        """The longest that nobody here could run since then, in seconds."""
        return max((gap for at, gap in self._gaps if at >= since), default=0.0)

    def origin(self, name: str, listener: socket.socket | None = None) -> Origin:
        """A backend that answers with its name; on loopback unless told where."""
        sock = listener or listening()
        new = Origin(self.loop, name)
        asyncio.run_coroutine_threadsafe(new.listen(sock), self.loop).result(5)
        self._origins.append(new)
        return new

    # ---------------------------------------------------------------------------------------- asking

    def ask(self, listen: str, rate: float, seconds: float, **more: Any) -> list[Answer]:
        """So many requests a second for so long, as `begin`; all answers, in the order of asking."""
        return self.begin(listen, rate, seconds, **more).result(seconds + 60)

    def begin(
        self,
        listen: str,
        rate: float,
        seconds: float,
        *,
        request: str = "GET /",
        size: int = 0,
        patience: float = 15.0,
        keep: bool = True,
    ) -> Future[list[Answer]]:
        """The same in the background. Each is due at its time, whatever became of those before.

        Args:
            listen: Where fairlead listens.
            rate: Requests a second.
            seconds: For so long.
            request: Method and target.
            size: Bytes of body.
            patience: Seconds that a client waits; then it leaves with a RST.
            keep: On kept connections; or else each on a new one.
        """

        async def run() -> list[Answer]:
            begin, tasks = time.monotonic(), []
            for number in range(round(rate * seconds)):
                await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
                one = self._one(listen, request, size, patience, keep=keep)
                tasks.append(asyncio.ensure_future(one))
            return list(await asyncio.gather(*tasks))

        return self._run(run())

    def _run(self, what: Coroutine[Any, Any, list[Answer]]) -> Future[list[Answer]]:
        return asyncio.run_coroutine_threadsafe(what, self.loop)

    async def _one(
        self, listen: str, request: str, size: int, patience: float, *, keep: bool
    ) -> Answer:
        answer = Answer(f"{next(self._ids)}", time.monotonic(), 0.0, 0, "")
        client = None
        try:
            async with asyncio.timeout(patience):
                client = (keep and self._kept(listen)) or await self._dial(listen)
                client.answer = self.loop.create_future()
                client.say(self._text(request, answer.id, size))
                answer.status, answer.by = await client.answer
        except (OSError, TimeoutError) as failure:
            answer.by = repr(failure)
        answer.took = time.monotonic() - answer.began
        if client is not None:
            if answer.status and keep and not client.gone:
                self._idle.setdefault(listen, []).append(client)
            elif answer.status:
                client.end()
            else:
                client.reset()
        return answer

    @staticmethod
    def _text(request: str, number: str, size: int) -> bytes:
        length = "" if request.startswith("GET") else f"Content-Length: {size}\r\n"
        head = f"{request} HTTP/1.1\r\nHost: app\r\nX-Id: {number}\r\n{length}\r\n"
        return head.encode() + b"x" * size

    def _kept(self, listen: str) -> _Client | None:
        idle = self._idle.get(listen, [])
        while idle:
            client = idle.pop()
            if not client.gone:
                return client
        return None

    async def _dial(self, listen: str) -> _Client:
        host, _, port = listen.rpartition(":")
        _, client = await self.loop.create_connection(_Client, host, int(port))
        return client


def executions(answers: list[Answer], *origins: Origin) -> Counter[str]:
    """How often each of these requests was executed, at all of these origins together."""
    return Counter(
        {each.id: sum(origin.executed[each.id] for origin in origins) for each in answers}
    )
