"""FakeBackend: a real backend on a real socket that misbehaves when told to.

It runs in a thread of its own, so tests with and without an event loop use it alike, and so that
freezing it freezes nothing else. Every method that changes its behaviour returns when the change
is in force. What it does on a connection is in `connection`, what it was told in `script`, how it
refuses and swallows in `door`, the thread and freezing in `loop`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self

from fairlead.testing.connection import Stream, serve_echo, serve_http
from fairlead.testing.door import Door
from fairlead.testing.loop import PATIENCE_SECONDS, LoopThread
from fairlead.testing.script import Answer, Raw, Script, Socket
from fairlead.testing.seen import Seen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from fairlead.testing.seen import SeenRequest

_GARBAGE = b"\x16\x03\x01 220 mail.example.com ESMTP\r\n\xff\xfe\r\n\r\n"
_RESPONSE_LIMIT = 1 << 20


class FakeBackend:
    r"""A backend for tests: answers until it is told to fail, in any of the known ways.

    Example:
        >>> import urllib.request
        >>> with FakeBackend("one") as one:
        ...     url = f"http://{one.address}/hello"
        ...     print(urllib.request.urlopen(url).read())
        ...     one.answer(status=503, times=1)     # the next one only
        ...     try: urllib.request.urlopen(url)
        ...     except OSError as error: print(error)
        ...     one.refuse()                        # and: hang, freeze, reset, slow, …
        ...     one.answer()                        # well again, on the same port
        ...     print(urllib.request.urlopen(url).status, one.hits("/hello"))
        b'one\n'
        HTTP Error 503: Service Unavailable
        200 3

    What it can do, from the next request on unless it says otherwise:

    | call | what a client sees |
    |---|---|
    | ``answer`` | a proper response: any status, body, headers, chunked or not |
    | ``slow`` | the same, late, and in pieces if asked |
    | ``hang`` | the connect works, the request is read, no answer ever |
    | ``close``, ``reset`` | FIN or RST instead of an answer (or at once: ``at="accept"``) |
    | ``garbage`` | bytes that are not HTTP |
    | ``half_head``, ``half_body`` | an answer that breaks off |
    | ``websocket`` | a WebSocket that sends messages back, and ends when told |
    | ``refuse`` | connects refused and open connections reset, at once: the process is gone |
    | ``freeze`` | nothing at all is done any more, at once: SIGSTOP as seen from outside |
    | ``swallow`` | connects are not even answered, at once: the host is gone |

    With ``protocol="tcp"`` it sends back what it receives, and a FIN after a FIN. ``garbage``
    and the like then happen at the first bytes of a connection.
    """

    def __init__(
        self,
        name: str = "backend",
        *,
        protocol: Literal["http", "tcp"] = "http",
        listen: str = "127.0.0.1:0",
    ) -> None:
        """Take an address; `start` or ``with`` begins to listen there.

        Args:
            name: In the ``X-Backend`` header and in the usual body.
            protocol: ``http``, or ``tcp`` for an echo.
            listen: Where: ``127.0.0.1:0`` (a free port), ``[::1]:0``, ``unix:/path``.
        """
        self.name = name
        self.seen = Seen()
        self._http = protocol == "http"
        self._door = Door(listen)
        self._script = Script()
        self._thread = LoopThread(f"fake backend {name}")
        self._streams: dict[asyncio.Task[None], Stream] = {}

    # -- life ------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where it is, as a configuration writes it: ``127.0.0.1:41234``."""
        return self._door.address

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.address.rpartition(":")[2])

    def start(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        self._thread.call(self._start_accepting)
        return self

    def stop(self) -> None:
        """End everything; connections are reset. Stopping twice is fine."""
        with contextlib.suppress(RuntimeError):
            self.refuse()
        self._thread.stop()
        self._door.close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    # -- what it does ----------------------------------------------------------------------

    def answer(  # noqa: PLR0913  # one keyword for each property of a response
        self,
        status: int = 200,
        body: bytes | str | None = None,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        echo: bool = False,
        chunked: bool = False,
        keep: bool = True,
        early: bool = False,
        path: str | None = None,
        times: int | None = None,
    ) -> None:
        """Answer properly from the next request on, and be reachable again.

        Args:
            status: The status code.
            body: The body; its own name if left out.
            headers: Further header lines.
            echo: Answer with the request's body.
            chunked: Chunked rather than with a length.
            keep: Keep the connection.
            early: Answer at the head, without reading the body.
            path: Only for paths that begin so; all others are left as they are.
            times: Only for so many requests.
        """
        lines = headers.items() if isinstance(headers, Mapping) else headers
        text = body.encode() if isinstance(body, str) else body
        answer = Answer(status, text, tuple(lines), echo, chunked, keep, early)
        self._change(lambda: self._script.set(answer, path=path, times=times))

    def slow(self, seconds: float, *, between: float = 0.0, path: str | None = None) -> None:
        """Answer as before but late: `seconds` before the head, `between` before each tenth."""
        self._change(lambda: self._script.slow_down(seconds, between, path=path))

    def hang(self, *, path: str | None = None, times: int | None = None) -> None:
        """Read requests and never answer them."""
        self._set_raw(Raw(then="hang"), path, times)

    def close(
        self,
        *,
        at: Literal["request", "accept"] = "request",
        path: str | None = None,
        times: int | None = None,
    ) -> None:
        """Close the connection (FIN) instead of answering, or as soon as it is accepted."""
        self._set_raw(Raw(), path, times, at=at)

    def reset(
        self,
        *,
        at: Literal["request", "accept"] = "request",
        path: str | None = None,
        times: int | None = None,
    ) -> None:
        """Reset the connection (RST) instead of answering, or as soon as it is accepted."""
        self._set_raw(Raw(then="reset"), path, times, at=at)

    def garbage(
        self, data: bytes = _GARBAGE, *, path: str | None = None, times: int | None = None
    ) -> None:
        """Answer with bytes that are no HTTP (or with any bytes of yours), then close."""
        self._set_raw(Raw(data), path, times)

    def half_head(
        self,
        *,
        then: Literal["close", "reset", "hang"] = "close",
        path: str | None = None,
        times: int | None = None,
    ) -> None:
        """Break off in the middle of the response head."""
        head = b"HTTP/1.1 200 OK\r\nX-Backend: " + self.name.encode() + b"\r\nContent-Le"
        self._set_raw(Raw(head, then), path, times)

    def half_body(
        self,
        *,
        then: Literal["close", "reset", "hang"] = "close",
        chunked: bool = False,
        path: str | None = None,
        times: int | None = None,
    ) -> None:
        """Break off in the middle of the body: 50 of 100 bytes, or one chunk and no last one."""
        head = b"HTTP/1.1 200 OK\r\nX-Backend: " + self.name.encode() + b"\r\n"
        if chunked:
            body = b"Transfer-Encoding: chunked\r\n\r\n32\r\n" + b"x" * 50 + b"\r\n"
        else:
            body = b"Content-Length: 100\r\n\r\n" + b"x" * 50
        self._set_raw(Raw(head + body, then), path, times)

    def websocket(
        self,
        *,
        messages: int | None = None,
        then: Literal["close", "reset", "hang"] = "close",
        path: str | None = None,
        times: int | None = None,
    ) -> None:
        """Accept WebSockets and send back every message; 426 to whoever doesn't ask for one.

        Args:
            messages: End after so many messages; left out, when the client does.
            then: How: with a close frame (1001, going away) and FIN, by RST, or by silence.
            path: Only for paths that begin so; all others are left as they are.
            times: Only for so many requests.
        """
        self._change(lambda: self._script.set(Socket(messages, then), path=path, times=times))

    def refuse(self) -> None:
        """Refuse connects and reset open connections, as if the process were gone."""

        def shut() -> None:
            self._stop_accepting()
            self._door.shut()
            self._reset_all()

        self._thread.call(shut)

    def swallow(self) -> None:
        """Leave connects unanswered, as if the host were gone; open connections go silent.

        Silent means that nothing is answered on them any more. Their bytes are still
        acknowledged by the kernel: to lose packets of an open connection takes a firewall.
        """

        def block() -> None:
            self._stop_accepting()
            self._door.block()
            self._script.set(Raw(then="hang"))

        self._thread.call(block)

    def freeze(self) -> None:
        """Do nothing at all any more: no accepting, no reading, no closing.

        The kernel goes on for us: connects succeed until the queue is full, bytes are
        acknowledged. Every other call that changes the behaviour thaws first.
        """
        self._thread.freeze()

    def thaw(self) -> None:
        """Go on where `freeze` stopped; what waited is answered now."""
        self._thread.thaw()

    # -- what it saw -----------------------------------------------------------------------

    def requests(self, path: str | None = None) -> list[SeenRequest]:
        """The last requests (1,000 at most), oldest first; only those for `path` if given."""
        return self.seen.requests(path)

    def hits(self, path: str | None = None) -> int:
        """How many requests came, in all or for `path` (without query)."""
        return self.seen.hits(path)

    def wait(
        self,
        *,
        hits: int = 0,
        connections: int = 0,
        path: str | None = None,
        timeout_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Wait until so many requests and connections came; `TimeoutError` if they don't."""
        if not self.seen.wait(
            hits=hits, connections=connections, path=path, timeout_seconds=timeout_seconds
        ):
            raise TimeoutError(
                f"{self.name} saw {self.hits(path)} requests of {hits} "
                f"and {self.seen.connections} connections of {connections}"
            )

    # -- in the thread ---------------------------------------------------------------------

    def _set_raw(
        self,
        raw: Raw,
        path: str | None,
        times: int | None,
        *,
        at: Literal["request", "accept"] = "request",
    ) -> None:
        if at == "accept":
            if path is not None or times is not None:
                raise ValueError("at='accept' knows neither path nor times")

            def set_at_accept() -> None:
                self._script.at_accept = raw

            self._change(set_at_accept)
            return
        self._change(lambda: self._script.set(raw, path=path, times=times))

    def _change(self, change: Callable[[], None]) -> None:
        """Change the script, and be reachable."""

        def both() -> None:
            change()
            self._start_accepting()

        self._thread.call(both)

    def _start_accepting(self) -> None:
        listening = self._door.open()
        self._thread.loop.add_reader(listening, self._accept)

    def _stop_accepting(self) -> None:
        if self._door.listening is not None:
            self._thread.loop.remove_reader(self._door.listening)

    def _reset_all(self) -> None:
        for stream in self._streams.values():
            stream.reset()

    def _accept(self) -> None:
        while (accepted := self._door.accept()) is not None:
            reader = asyncio.StreamReader(_RESPONSE_LIMIT)
            protocol = asyncio.StreamReaderProtocol(reader)
            task = asyncio.ensure_future(self._serve(accepted, reader, protocol))
            task.add_done_callback(lambda done: self._streams.pop(done, None))

    async def _serve(
        self,
        accepted: socket.socket,
        reader: asyncio.StreamReader,
        protocol: asyncio.StreamReaderProtocol,
    ) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        stream = Stream(reader, writer, self.seen.add_connection())
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self._streams[task] = stream
        # A client that goes away is nothing special here; it is what many tests are about.
        try:
            with contextlib.suppress(OSError):
                await self._talk(stream)
        finally:
            self.seen.end_connection()
            writer.close()

    async def _talk(self, stream: Stream) -> None:
        at_accept = self._script.at_accept
        if at_accept is not None:
            await stream.perform(at_accept)
        elif self._http:
            await serve_http(stream, self.name, self._script, self.seen)
        else:
            await serve_echo(stream, self._script, self.seen)
