"""A second reader of HTTP/1.1, strict and slow.

Made differently from the crate's on purpose: it wants everything at once, splits, copies and uses
regular expressions. It reads what clients send, to say what has to become of it (`onward`), and what
backends get, to see that it did. It knows nothing of sockets, and of fairlead only its documented
choices: which of the RFCs' ways it takes where there are two.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

Field = tuple[str, bytes]
"""A name in lower case and a value without white space at its ends."""

_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TOKEN = re.compile(_TCHAR + rb"+")
_FIELD = re.compile(rb"(" + _TCHAR + rb"+):[ \t]*((?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)[ \t]*")
_TARGET = re.compile(rb"[!-\"$-~]+")
_VERSION = re.compile(rb"HTTP/1\.([0-9])")
_STATUS = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?")
ABSOLUTE = re.compile(r"(https?)://([^/?]*)(.*)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|[A-Za-z0-9\-._~]+)(?::([0-9]{0,5}))?")
_DIGITS = re.compile(rb"[0-9]+")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t -~\x80-\xff]*)?")

HEAD_BYTES = 64 * 1024
HEADERS = 128
TRAILERS = 32
TRAILER_BYTES = 8 * 1024
OPTIONS = 32
INTERIM = 16


class Stop(Exception):
    """There is no whole message."""

    head: Message | None = None
    """Its head, if that was right: it may have gone on."""


class Partial(Stop):
    """More has to come. What is there may or may not be wrong already."""


class Refused(Stop):
    """It can't be read in one way only, or not at all."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Message:
    """A request or a response, whole."""

    start: tuple[str, ...]
    """Method, target and version, or version and status."""
    fields: tuple[Field, ...]
    body: bytes
    trailers: tuple[Field, ...]
    framing: str
    """``none``, ``length``, ``chunked`` or ``close``."""
    end: int
    """Where the next one begins."""

    def values(self, name: str) -> list[bytes]:
        """The values of a header, in order."""
        return [value for key, value in self.fields if key == name]

    def elements(self, name: str) -> list[str]:
        """The elements of a header that is a list, in lower case."""
        whole = b",".join(self.values(name)).decode("latin-1").lower()
        return [element for part in whole.split(",") if (element := part.strip(" \t"))]

    @property
    def is_old(self) -> bool:
        """Whether it is of HTTP/1.0."""
        return "HTTP/1.0" in self.start

    @property
    def closes(self) -> bool:
        """Whether its sender's connection ends after it."""
        options = self.elements("connection")
        return "close" in options or (self.is_old and "keep-alive" not in options)


# ------------------------------------------------------------------------------------------ reading


def read_requests(data: bytes) -> tuple[list[Message], Stop | None]:
    """The requests in ``data`` up to the first that is not one, and what is wrong there."""
    found: list[Message] = []
    at = 0
    while data[at:].strip(b"\r\n") or data[at:]:
        try:
            found.append(read_request(data, at))
        except Stop as stop:
            return found, stop
        at = found[-1].end
        if found[-1].closes:
            break
    return found, None


def read_request(data: bytes, at: int = 0, most_fields: int = HEADERS) -> Message:
    """The request at ``at``. Raises `Partial` or `Refused`."""
    begin = at
    for _ in range(2):
        at += 2 * data.startswith(b"\r\n", at)
    lines, body_at = _lines(data, at, begin, most_fields)
    words = lines[0].split(b" ")
    if len(words) != 3:
        raise Refused("the request line is not three words")
    method, target, version = words
    if not _TOKEN.fullmatch(method):
        raise Refused("the method is no token")
    if method == b"CONNECT":
        raise Refused("CONNECT", 501)
    if not _TARGET.fullmatch(target):
        raise Refused("a byte in the target")
    if not _VERSION.fullmatch(version):
        known = re.fullmatch(rb"HTTP/[0-9]\.[0-9]", version)
        raise Refused("the version", 505 if known else 400)
    start = tuple(word.decode("latin-1") for word in words)
    _check_target(start[1], start[0])
    fields = _fields(lines[1:])
    message = Message(start, fields, b"", (), "none", body_at)
    _check_request(message)
    framing, length = _framing(message, "none")
    return _with_body(data, message, framing, length)


def read_response(data: bytes, method: str, *, ended: bool, at: int = 0) -> Message:
    """The response at ``at`` to a request of ``method``; ``ended``: nothing more will come."""
    lines, body_at = _lines(data, at, at, 2 * HEADERS)
    match = _STATUS.fullmatch(lines[0])
    if match is None:
        raise Refused("the status line")
    start = (f"HTTP/1.{match[1].decode()}", match[2].decode())
    message = Message(start, _fields(lines[1:]), b"", (), "none", body_at)
    _check_options(message)
    framing, length = _framing(message, "close")
    status = int(start[1])
    if (status < 200 or status == 204) and framing == "chunked":
        raise Refused("a transfer coding without a body")
    if method == "HEAD" or status < 200 or status in (204, 304):
        return message
    if framing == "close":
        if not ended:
            raise Partial
        return Message(start, message.fields, data[body_at:], (), "close", len(data))
    return _with_body(data, message, framing, length)


def read_answer(data: bytes, method: str, *, ended: bool, at: int = 0) -> list[Message]:
    """The interim responses at ``at``, and the final one behind them.

    A switch of protocols is refused: nobody who asks for this asked for one.
    """
    found: list[Message] = []
    while not found or int(found[-1].start[1]) < 200:
        if len(found) > INTERIM:
            raise Refused("interim responses without end")
        found.append(read_response(data, method, ended=ended, at=at))
        if found[-1].start[1] == "101":
            raise Refused("a switch")
        at = found[-1].end
    return found


def _lines(data: bytes, at: int, begin: int, most_fields: int) -> tuple[list[bytes], int]:
    """The lines of a head, and where it ends."""
    if data[at : at + 1] in (b"\r", b"\n") and data[at:] != b"\r":
        raise Refused("an empty line, or none of CRLF")
    end = data.find(b"\r\n\r\n", at)
    size = (len(data) if end < 0 else end + 4) - begin
    if size > HEAD_BYTES or (end < 0 and size == HEAD_BYTES):
        line = data.find(b"\r\n", at)
        in_line = line < 0 or line - begin > HEAD_BYTES
        raise Refused("the head is too large", 414 if in_line else 431)
    if end < 0:
        raise Partial
    lines = data[at:end].split(b"\r\n")
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise Refused("a bare CR or LF")
    if len(lines) - 1 > most_fields:
        raise Refused("too many headers", 431)
    return lines, end + 4


def _fields(lines: list[bytes]) -> tuple[Field, ...]:
    fields = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Refused("a header line")
        fields.append((match[1].decode("latin-1").lower(), match[2]))
    return tuple(fields)


def _number(digits: bytes) -> int:
    if not _DIGITS.fullmatch(digits) or int(digits) >= 1 << 64:
        raise Refused("no number")
    return int(digits)


def is_host(authority: str) -> bool:
    """Whether it is a host, with a port perhaps."""
    match = _HOST.fullmatch(authority)
    if match is None or int(match[2] or 0) > 65_535:
        return False
    try:
        return match[1] is None or bool(ipaddress.IPv6Address(match[1]))
    except ValueError:
        return False


def _check_target(target: str, method: str) -> None:
    absolute = ABSOLUTE.fullmatch(target)
    if target.startswith("/") or (target == "*" and method == "OPTIONS"):
        return
    if absolute is None or not is_host(absolute[2]):
        raise Refused("the form of the target")


def _check_options(message: Message) -> None:
    if len(message.elements("connection")) > OPTIONS:
        raise Refused("too many options")


def _check_request(message: Message) -> None:
    hosts = message.values("host")
    if len(hosts) > 1 or (not hosts and not message.is_old):
        raise Refused("not one Host")
    if not all(is_host(host.decode("latin-1")) for host in hosts):
        raise Refused("the host")
    _check_options(message)
    if any(element != "100-continue" for element in message.elements("expect")):
        raise Refused("an expectation", 417)
    method = message.start[0]
    if method in ("OPTIONS", "TRACE"):
        for value in message.values("max-forwards"):
            _number(value)
    framing, length = _framing(message, "none")
    if method == "TRACE" and (framing == "chunked" or length):
        raise Refused("TRACE with a body")


def _framing(message: Message, absent: str) -> tuple[str, int]:
    lengths, codings = message.values("content-length"), message.values("transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Refused("more than one framing")
    if lengths:
        return "length", _number(lengths[0])
    if not codings:
        return absent, 0
    if codings[0].lower() != b"chunked":
        last = re.fullmatch(rb"(?:[^,]*,)+[ \t]*chunked", codings[0], re.IGNORECASE)
        names = [coding.strip(b" \t").lower() for coding in codings[0].split(b",")[:-1]]
        fine = last and all(_TOKEN.fullmatch(name) and name != b"chunked" for name in names)
        raise Refused("the transfer coding", 501 if fine else 400)
    if message.is_old:
        raise Refused("a transfer coding in HTTP/1.0")
    return "chunked", 0


def _with_body(data: bytes, message: Message, framing: str, length: int) -> Message:
    try:
        return _body(data, message, framing, length)
    except Stop as stop:
        stop.head = message
        raise


def _body(data: bytes, message: Message, framing: str, length: int) -> Message:
    at = message.end
    if framing == "chunked":
        body, trailers, end = _chunks(data, at)
        return Message(message.start, message.fields, body, trailers, framing, end)
    if len(data) - at < length:
        raise Partial
    body = data[at : at + length]
    return Message(message.start, message.fields, body, (), framing, at + length)


def _line(data: bytes, at: int, most: int) -> tuple[bytes, int]:
    """A line of chunk framing, and where it ends."""
    end = data.find(b"\n", at)
    if end < 0:
        if len(data) - at > most:
            raise Refused("a line of framing is too long")
        raise Partial
    line = data[at : end + 1]
    if not line.endswith(b"\r\n") or b"\r" in line[:-2] or len(line) > most:
        raise Refused("a line of framing")
    return line[:-2], end + 1


def _chunks(data: bytes, at: int) -> tuple[bytes, tuple[Field, ...], int]:
    body = b""
    while True:
        line, at = _line(data, at, 256)
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise Refused("a chunk's size")
        size = int(match[1], 16)
        if size == 0:
            break
        if len(data) - at < size:
            raise Partial
        body += data[at : at + size]
        at += size
        if data[at : at + 2] != b"\r\n":
            if b"\r\n".startswith(data[at : at + 2]):
                raise Partial
            raise Refused("a chunk's end")
        at += 2
    trailers, first = [], at
    while True:
        line, at = _line(data, at, TRAILER_BYTES)
        if not line:
            return body, tuple(trailers), at
        try:
            trailers += _fields([line])
        except Refused as refused:
            raise Refused("a trailer line") from refused
        if len(trailers) > TRAILERS or at - first > TRAILER_BYTES:
            raise Refused("too many trailers")
