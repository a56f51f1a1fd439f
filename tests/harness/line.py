"""One end of a connection, held by a test: sends bytes as they are, reads messages strictly.

The reader accepts exactly what a strict HTTP/1.1 implementation would. A balancer that hands on
something odd fails the test here and not in some real client later.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

PATIENCE = 10.0
"""Seconds that a read waits unless it says otherwise. Long: a busy machine is no failure."""


class OddMessage(AssertionError):
    """What came is not strictly HTTP/1.1."""


class BrokenOff(AssertionError):
    """The other end closed or reset in the middle of what was awaited."""


@dataclass
class Message:
    """A request or a response, whole."""

    start: str
    headers: list[tuple[str, str]]
    raw_head: bytes
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.start.split(" ")[1])

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.start.split(" ")[0]

    @property
    def target(self) -> str:
        """The target of a request."""
        return self.start.split(" ")[1]

    @property
    def version(self) -> str:
        """``HTTP/1.1`` or ``HTTP/1.0``."""
        return self.start.split(" ")[2 if self.is_request else 0]

    @property
    def is_request(self) -> bool:
        """Whether it is a request."""
        return not self.start.startswith("HTTP/")

    def values(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        """The value of a header that may stand once at most."""
        found = self.values(name)
        assert len(found) <= 1, f"{name} stands {len(found)} times: {found}"
        return found[0] if found else None

    def has(self, name: str) -> bool:
        """Whether there is such a header."""
        return bool(self.values(name))

    @property
    def reason(self) -> str | None:
        """fairlead's code, if it made this answer."""
        return self.value("X-Fairlead-Reason")


_REQUEST = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [!-~]+ HTTP/1\.[01]")
_RESPONSE = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9] [\t -~\x80-\xff]*")
_HEADER = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?[ \t]*"
)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;[\t -~]*)?")


class Line:
    """One end of a connection."""

    def __init__(self, sock: socket.socket, patience: float = PATIENCE) -> None:
        self.socket = sock
        self.patience = patience
        self.held = b""
        self.requests: list[Message] = []
        """Requests that were read here, in order."""
        sock.settimeout(patience)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A test that drops a line has no more use for its connection.
        self.socket.close()

    # ------------------------------------------------------------------------------ sending, ending

    def send(self, data: bytes | str) -> None:
        """Send all of it."""
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def send_slowly(self, data: bytes, pause: float = 0.01, piece: int = 1) -> None:
        """Send it in small pieces, each on its own."""
        for start in range(0, len(data), piece):
            self.send(data[start : start + piece])
            time.sleep(pause)

    def finish(self) -> None:
        """Send FIN; go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # A read of another thread would keep the socket open, so wake it. This sends nothing.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)
        # Its number must stay taken: poll(2) looks it up again when it is woken, and if it is
        # another socket's by then, goes on waiting and holds on to this one, which is never reset.
        # The null device is always ready, and no socket.
        with Path(os.devnull).open("rb") as null:
            os.dup2(null.fileno(), self.socket.fileno(), inheritable=False)

    def close(self) -> None:
        """Close: FIN, or RST if bytes lie unread."""
        self.socket.close()

    # -------------------------------------------------------------------------------------- reading

    def _more(self, patience: float | None = None) -> bytes:
        self.socket.settimeout(self.patience if patience is None else patience)
        return self.socket.recv(65536)

    def peek(self, count: int) -> bytes:
        """The next bytes, at least ``count`` of them, left in place."""
        while len(self.held) < count:
            data = self._more()
            if not data:
                raise BrokenOff(f"closed after {self.held!r}, wanted {count} bytes")
            self.held += data
        return self.held

    def read(self, count: int) -> bytes:
        """Exactly so many bytes."""
        pieces = [self.held]
        have = len(self.held)
        while have < count:
            data = self._more()
            if not data:
                self.held = b"".join(pieces)
                raise BrokenOff(f"closed after {have} bytes, wanted {count}")
            pieces.append(data)
            have += len(data)
        whole = b"".join(pieces)
        self.held = whole[count:]
        return whole[:count]

    def read_until(self, mark: bytes, most: int = 1 << 20) -> bytes:
        """All up to and with ``mark``."""
        while mark not in self.held:
            data = self._more()
            if not data:
                raise BrokenOff(f"closed after {self.held!r}, wanted {mark!r}")
            self.held += data
            assert len(self.held) <= most, f"{mark!r} did not come in {most} bytes"
        end = self.held.index(mark) + len(mark)
        found, self.held = self.held[:end], self.held[end:]
        return found

    def read_some(self, patience: float | None = None) -> bytes:
        """What is there or comes next; empty at the end of the stream."""
        if self.held:
            data, self.held = self.held, b""
            return data
        return self._more(patience)

    def read_to_end(self, patience: float | None = None) -> bytes:
        """All that comes until the other end finishes. A reset raises `ConnectionResetError`."""
        pieces = [self.held]
        self.held = b""
        while data := self._more(patience):
            pieces.append(data)
        return b"".join(pieces)

    def read_line(self) -> bytes:
        """A line, without its CRLF."""
        line = self.read_until(b"\n")
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise OddMessage(f"line ends oddly: {line!r}")
        return line[:-2]

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing at all comes for so long: no byte, no end, no reset."""
        if self.held:
            return False
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        self.held += data
        return False

    def is_closed(self, patience: float | None = None) -> bool:
        """Whether the other end has closed, or does so soon, without another byte."""
        assert not self.held, f"unread: {self.held!r}"
        try:
            data = self._more(patience)
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        self.held += data
        return not data

    # ------------------------------------------------------------------------------------- messages

    def _read_headers(self) -> tuple[list[tuple[str, str]], bytes]:
        headers: list[tuple[str, str]] = []
        raw = b""
        while line := self.read_line():
            raw += line + b"\r\n"
            match = _HEADER.fullmatch(line)
            if match is None:
                raise OddMessage(f"header line: {line!r}")
            headers.append((match[1].decode(), (match[2] or b"").decode("latin-1")))
        return headers, raw + b"\r\n"

    def read_head(self) -> Message:
        """A request or response head, strictly."""
        start = self.read_line()
        form = _RESPONSE if start.startswith(b"HTTP/") else _REQUEST
        if not form.fullmatch(start):
            raise OddMessage(f"start line: {start!r}")
        headers, raw = self._read_headers()
        return Message(start.decode("latin-1"), headers, start + b"\r\n" + raw)

    def read_chunk(self) -> bytes:
        """One chunk; empty for the last."""
        line = self.read_line()
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise OddMessage(f"chunk size line: {line!r}")
        data = self.read(int(match[1], 16))
        if data and self.read(2) != b"\r\n":
            raise OddMessage("chunk does not end in CRLF")
        return data

    def read_body(self, message: Message, *, to: str = "GET") -> Message:
        """The body that follows ``message``, into it. ``to``: the method that was answered."""
        codings = message.values("Transfer-Encoding")
        lengths = message.values("Content-Length")
        if codings and lengths:
            raise OddMessage(f"both framings: {codings} and {lengths}")
        if len(lengths) > 1:
            raise OddMessage(f"Content-Length {len(lengths)} times")
        if not message.is_request:
            bodyless = to == "HEAD" or message.status < 200 or message.status in (204, 304)
            if bodyless:
                return message
        if codings:
            if [coding.lower() for coding in codings] != ["chunked"]:
                raise OddMessage(f"transfer codings: {codings}")
            while chunk := self.read_chunk():
                message.chunks.append(chunk)
            message.body = b"".join(message.chunks)
            message.trailers, _ = self._read_headers()
        elif lengths:
            if not lengths[0].isdigit():
                raise OddMessage(f"Content-Length: {lengths[0]!r}")
            message.body = self.read(int(lengths[0]))
        elif not message.is_request:
            message.body = self.read_to_end()
        return message

    def read_request(self) -> Message | None:
        """A whole request; ``None`` if the connection ends instead."""
        try:
            self.peek(1)
        except (BrokenOff, ConnectionResetError):
            return None
        message = self.read_head()
        self.requests.append(message)
        return self.read_body(message)

    def read_response(self, to: str = "GET") -> Message:
        """A whole final response to a request of method ``to``; a 1xx before it fails the test."""
        message = self.read_head()
        assert message.status >= 200, f"an interim response came: {message.start}"
        return self.read_body(message, to=to)

    def ask(self, request: bytes | str, to: str | None = None) -> Message:
        """Send a request, read its response."""
        data = request.encode("latin-1") if isinstance(request, str) else request
        self.send(data)
        return self.read_response(to or data.split(b" ", 1)[0].decode("latin-1"))

    def get(self, target: str = "/", *headers: str, host: str = "app.example") -> Message:
        """A plain GET on this connection."""
        lines = "".join(f"{header}\r\n" for header in headers)
        return self.ask(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")


def dial(address: str, source: str | None = None) -> Line:
    """Connect to ``host:port``, ``[v6]:port`` or ``unix:/path``."""
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(address.removeprefix("unix:"))
        return Line(sock)
    host, _, port = address.rpartition(":")
    place = (host.strip("[]"), int(port))
    return Line(
        socket.create_connection(place, PATIENCE, source_address=(source, 0) if source else None)
    )


def refuses(listen: str) -> bool:
    """Whether nobody listens there any more."""
    try:
        dial(listen).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    return False
