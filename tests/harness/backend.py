"""Backends that a test writes the lines of: one function plays each connection."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import itertools
import os
import random
import selectors
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.line import BrokenOff, Line, Message

Play = Callable[[Line], None]
"""Plays one connection from its first byte to its end. When it returns, the connection closes."""

Answer = Callable[[Message], bytes | None]
"""What a keep-alive backend sends for a request; ``None`` closes the connection instead."""


def response(
    body: bytes = b"hello", status: str = "200 OK", headers: dict[str, str] | None = None
) -> bytes:
    """A response with Content-Length."""
    lines = {"Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


def chunked(*pieces: bytes, trailers: str = "", head: str = "HTTP/1.1 200 OK\r\n") -> bytes:
    """A chunked response, a chunk for each piece."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return (
        f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        + body
        + f"0\r\n{trailers}\r\n".encode()
    )


def keeping(answer: Answer) -> Play:
    """Reads requests and answers them, one after the other, until either side ends."""

    def play(line: Line) -> None:
        while request := line.read_request():
            data = answer(request)
            if data is None:
                return
            line.send(data)

    return play


def saying(text: bytes | str) -> Play:
    """Answers every request with 200 and this body."""
    body = text.encode() if isinstance(text, str) else text
    return keeping(lambda request: response(b"" if request.method == "HEAD" else body))


def naming_lines(name: bytes) -> Play:
    """A tcp backend that answers each line with its name."""

    def play(line: Line) -> None:
        while line.read_some():
            line.send(name + b"\r\n")

    return play


def echo(line: Line) -> None:
    """Sends back what comes (tcp)."""
    while data := line.read_some():
        line.send(data)


class Backend:
    """Listens on loopback and lets ``play`` play every connection, each in a thread of its own.

    A failure inside ``play`` is kept and raised by `close`, so that a test can't miss it, except
    that the other end may always go away.
    """

    def __init__(self, play: Play, listener: socket.socket | None = None) -> None:
        self.play = play
        self.lines: list[Line] = []
        """All connections so far, in the order of accepting."""
        self.failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Condition()
        self._hearing = threading.Event()
        self._hearing.set()
        self._listener = listener or listening()
        self._start()

    def _start(self) -> None:
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._accepting.start()

    @property
    def address(self) -> str:
        """As fairlead's command line takes it."""
        if self._listener.family == socket.AF_UNIX:
            return f"unix:{self._listener.getsockname()}"
        host, port = self._place[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def _place(self) -> tuple[str, int]:
        if not hasattr(self, "_kept_place"):
            self._kept_place: tuple[str, int] = self._listener.getsockname()[:2]
        return self._kept_place

    @property
    def requests(self) -> list[Message]:
        """All requests so far, by connection."""
        return [request for line in list(self.lines) for request in line.requests]

    def forget(self) -> None:
        """Connections that have ended, where there are too many of them for a test's memory."""
        with self._lock:
            self.lines = [line for line in self.lines if line.socket.fileno() != -1]
            self._threads = [
                each for each in self._threads if each.ident is None or each.is_alive()
            ]

    def wait_for_lines(self, count: int, patience: float = 10.0) -> list[Line]:
        """The connections, once there are at least so many."""
        with self._lock:
            assert self._lock.wait_for(lambda: len(self.lines) >= count, patience), (
                f"{len(self.lines)} connections came, {count} were awaited"
            )
            return list(self.lines)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            # One is out of the kernel's queue already; it waits with the others.
            self._hearing.wait()
            line = Line(sock, patience=60)
            thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
            with self._lock:
                self.lines.append(line)
                self._threads.append(thread)
                self._lock.notify_all()
            thread.start()

    def _serve(self, line: Line) -> None:
        try:
            self.play(line)
        except (BrokenOff, OSError):
            pass
        except BaseException as failure:
            self.failures.append(failure)
        finally:
            with contextlib.suppress(OSError):
                line.close()

    def refuse(self) -> None:
        """Stop listening: connects are refused. Connections that are open stay so."""
        assert self._place
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)

    def listen_again(self, listener: socket.socket | None = None) -> None:
        """Listen on the same port again; ``listener`` if that is on a host of its own."""
        self._listener = listener or socket.create_server(self._place, backlog=512)
        self._start()

    def deafen(self) -> None:
        """Accept no connection any more: the kernel's queue fills."""
        self._hearing.clear()

    def hear(self) -> None:
        """Undo `deafen`."""
        self._hearing.set()

    def cut(self) -> None:
        """Reset every connection that is open."""
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.reset()

    def close(self) -> None:
        """End everything; raise what went wrong in a play."""
        self.hear()
        self.refuse()
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        if self.failures:
            raise self.failures[0]


class Herd:
    """An echo backend for very many connections: one thread serves them all."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._listener, selectors.EVENT_READ)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """As fairlead's command line takes it."""
        return "{}:{}".format(*self._listener.getsockname())

    def _run(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._ready.select(0.1):
                if key.fileobj is self._listener:
                    with contextlib.suppress(OSError):
                        sock, _ = self._listener.accept()
                        self._ready.register(sock, selectors.EVENT_READ)
                    continue
                assert isinstance(key.fileobj, socket.socket)
                try:
                    data = key.fileobj.recv(65536)
                    key.fileobj.sendall(data)
                except OSError:
                    data = b""
                if not data:
                    self._ready.unregister(key.fileobj)
                    key.fileobj.close()

    def close(self) -> None:
        """End it and all its connections."""
        self._ended.set()
        self._thread.join()
        for key in list(self._ready.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._ready.close()


_PORTS = itertools.cycle(random.Random(os.getpid()).sample(range(10_000, 32_000), 22_000))


@functools.cache
def _claims() -> int:
    """A file of which each byte stands for a port: whose process has it locked may use the port.

    The kernel lets go of all locks of a process that ends.
    """
    path = Path(tempfile.gettempdir(), f"fairlead-test-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def free_ports(count: int = 1) -> Iterator[int]:
    """Ports that nobody listens on, and that no other process of tests is given before this ends.

    Between the asking and the listening there is a moment, and a port that has to refuse stays free
    for a whole test: without the claim another process would take one of them now and then. From
    below the range that the kernel hands out by itself, so that no client's connection does either.
    """
    for _ in range(count):
        for port in _PORTS:
            try:
                fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                continue
            yield port
            break


def listening(backlog: int = 512) -> socket.socket:
    """A listener on loopback whose port stays this process's own while it refuses, too."""
    return socket.create_server(("127.0.0.1", free_port()), backlog=backlog)


def free_port() -> int:
    """A port that nobody listens on."""
    return next(free_ports())


def silent_listener() -> tuple[socket.socket, list[socket.socket]]:
    """A listener whose queue is full, so that a connect gets no answer at all.

    Linux drops a SYN to a full queue; the sender sees what a black hole shows. Close all of what
    is returned to end it.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(8):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    return listener, fillers
