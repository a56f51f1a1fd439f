"""The demo's clients, a program of their own: ``python -m fairlead.demo.clients HOST PORT``.

Six clients that keep their connection and ask ten times a second each, and twenty requests a
second on new connections. Each has ten seconds of patience. Whatever is not a whole, well-formed
200 within that time is an error; nothing is tried again, because hiding failures is the
balancer's business. A process of their own, so that drawing the demo doesn't slow them down.

Writes what happened as a line of JSON four times a second. Ends when standard input does: no new
requests, those under way are waited for.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from fairlead.testing.child import end_with_parent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE_SECONDS = 10.0
KEPT_CLIENTS = 6
KEPT_RATE = 10.0
FRESH_RATE = 20.0

_REPORT_SECONDS = 0.25


class Broken(Exception):  # noqa: N818  # what it is, not that it is an error
    """An answer that is none."""


class Clients:
    """All clients, and what they saw since the last report."""

    def __init__(self, name: str, port: int, write: Callable[[str], None]) -> None:
        """Nothing is asked before `run`.

        Args:
            name: Where the balancer listens.
            port: Its port.
            write: Takes each report.
        """
        self._place = (name, port)
        self._write = write
        self._latencies_ms: list[float] = []
        self._errors: list[str] = []
        self._by_backend: Counter[str] = Counter()
        self._ended = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    def end(self) -> None:
        """Ask nothing new."""
        self._ended.set()

    async def run(self) -> None:
        """Ask until `end`, wait for what is under way, report the rest."""
        reporting = asyncio.ensure_future(self._report_regularly())
        kept = [self._keep(index / KEPT_CLIENTS / KEPT_RATE) for index in range(KEPT_CLIENTS)]
        await asyncio.gather(self._ask_freshly(), *kept)
        await asyncio.gather(*self._under_way)
        reporting.cancel()
        self._report()

    async def _keep(self, offset: float) -> None:
        """One client that keeps its connection."""
        line = Line(self._place)
        async for _ in _beats(KEPT_RATE, self._ended, offset):
            await self._ask(line)
        line.close()

    async def _ask_freshly(self) -> None:
        """Requests on connections of their own, on time whatever became of the last one."""

        async def ask() -> None:
            line = Line(self._place)
            await self._ask(line)
            line.close()

        async for _ in _beats(FRESH_RATE, self._ended, 0.0):
            task = asyncio.ensure_future(ask())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _ask(self, line: Line) -> None:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                backend = await line.ask()
        except TimeoutError:
            self._errors.append(f"no answer within {PATIENCE_SECONDS:.0f} s")
            line.close()
        except (Broken, OSError, EOFError, ValueError) as error:
            self._errors.append(str(error) or type(error).__name__)
            line.close()
        else:
            self._latencies_ms.append(round((time.perf_counter() - began) * 1000, 3))
            self._by_backend[backend] += 1

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            self._report()

    def _report(self) -> None:
        report = {
            "latencies_ms": self._latencies_ms,
            "errors": self._errors,
            "by_backend": dict(self._by_backend),
        }
        self._latencies_ms, self._errors = [], []
        self._by_backend.clear()
        self._write(json.dumps(report))


class Line:
    """One connection to the balancer, opened when it is needed."""

    def __init__(self, place: tuple[str, int]) -> None:
        """Nothing is opened before `ask`."""
        self._place = place
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> str:
        """Ask once; who answered. Raises `Broken` and what sockets raise."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place)
        reader, writer = self._streams
        writer.write(b"GET /hello HTTP/1.1\r\nHost: demo\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        if status.split(" ")[1:2] != ["200"]:
            raise Broken(f"{status}: {body.decode('latin-1').strip()}")
        backend = fields.get("x-backend", "")
        if body.decode("latin-1").strip() != backend:
            raise Broken(f"the answer of {backend} has the body {body!r}")
        if fields.get("connection") == "close":
            self.close()
        return backend

    def close(self) -> None:
        """Give the connection up; the next `ask` opens a new one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _beats(rate: float, ended: asyncio.Event, offset: float) -> AsyncIterator[None]:
    """Beats of a steady rate until `ended`; what was missed is not caught up on."""
    loop = asyncio.get_running_loop()
    at = loop.time() + offset
    while True:
        try:
            async with asyncio.timeout_at(at):
                await ended.wait()
        except TimeoutError:
            yield
        else:
            return
        at = max(at + 1 / rate, loop.time())


def main(arguments: list[str]) -> None:
    """Run the program."""
    name, port = arguments

    def write(report: str) -> None:
        sys.stdout.write(report + "\n")
        sys.stdout.flush()

    async def run() -> None:
        clients = Clients(name, int(port), write)
        # Nothing is ever written there: readable means that it ended.
        asyncio.get_running_loop().add_reader(sys.stdin, clients.end)
        await clients.run()

    asyncio.run(run())


if __name__ == "__main__":
    # Ctrl-C in a terminal reaches the whole group; when to end is the demo's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    main(sys.argv[1:])
