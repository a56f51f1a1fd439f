"""The corpus over real sockets: lanes of a client, a listener of their own and a recording backend.

A lane plays one message after the other, so that what its backend gets belongs to the message that
is being played. Whoever balances between them is given by its ports: this knows no fairlead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from conformance import strict
from conformance.corpus import BACKEND, SENTINEL, Case, Seen, is_broken, seen_request

PATIENCE = 10.0
"""Seconds without a byte after which a connection counts as hung. Long: the machine may be busy."""


@dataclass
class Recorder:
    """A backend that reads strictly, keeps what it reads, and answers."""

    messages: list[strict.Message] = field(default_factory=list)
    """The requests that came, in order, over all connections."""
    odd: list[str] = field(default_factory=list)
    """What came that a strict reader refuses."""
    replies: dict[str, tuple[bytes | Sequence[bytes], bool]] = field(default_factory=dict)
    """By path: what is sent instead of an ordinary answer, in pieces perhaps, and whether the
    connection ends then."""
    address: str = ""
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listens, and serves until the end of the block: its address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256)
        self.address = "{}:{}".format(*server.sockets[0].getsockname()[:2])
        try:
            yield self.address
        finally:
            server.close()
            for writer in self._open.values():
                writer.transport.abort()
            await asyncio.gather(*self._open)

    def forget(self) -> None:
        """Begins anew."""
        self.messages.clear()
        self.odd.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            with contextlib.suppress(ConnectionError):
                await self._serve_requests(reader, writer)
        finally:
            await _close(writer)
            del self._open[task]

    async def _serve_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        held = b""
        while True:
            try:
                # What comes here has what is added, too.
                message = strict.read_request(held, most_fields=2 * strict.HEADERS)
            except strict.Partial:
                data = await reader.read(1 << 16)
                if not data:
                    return
                held += data
                continue
            except strict.Refused as refused:
                self.odd.append(f"{refused}: {held[:200]!r}")
                return
            held = held[message.end :]
            self.messages.append(message)
            reply, ends = self.replies.get(message.start[1], (None, False))
            await send(writer, _ordinary(message.start[0]) if reply is None else reply)
            if ends:
                return


def _ordinary(method: str) -> bytes:
    body = b"" if method == "HEAD" else b"ok"
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@dataclass
class Heard:
    """What a client was answered."""

    answers: list[strict.Message] = field(default_factory=list)
    """Interim and final ones, in order."""
    closed: bool = False
    hung: bool = False
    left: bytes = b""
    """What came besides: the beginning of an answer, if it broke off."""
    odd: str = ""
    """What a strict reader refuses in it."""

    @property
    def statuses(self) -> list[int]:
        """Of all answers."""
        return [int(answer.start[1]) for answer in self.answers]


async def send(writer: asyncio.StreamWriter, data: bytes | Sequence[bytes]) -> None:
    """Sends it, or each of its pieces on its own."""
    for piece in [data] if isinstance(data, bytes) else data:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)


async def ask(
    port: int,
    data: bytes | Sequence[bytes],
    methods: Iterable[str],
    finals: int,
    *,
    fin: bool,
    patience: float = PATIENCE,
) -> Heard:
    """Sends ``data`` and reads until ``finals`` final answers, or the end, have come.

    ``methods`` are those that the answers are to, in order; after them, GET. ``fin``: whether the
    client finishes sending.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = Heard()
    try:
        await send(writer, data)
        if fin:
            # Once it was reset there is nothing to finish (ENOTCONN); what came before is read.
            with contextlib.suppress(OSError):
                writer.write_eof()
        await _hear(reader, heard, (list(methods), finals), patience)
    except ConnectionError:
        heard.closed = True
    finally:
        await _close(writer)
    return heard


async def _hear(
    reader: asyncio.StreamReader,
    heard: Heard,
    awaited: tuple[list[str], int],
    patience: float,
) -> None:
    (methods, finals), count, ended = awaited, 0, False
    while count < finals:
        method = methods[count] if count < len(methods) else "GET"
        try:
            answer = strict.read_response(heard.left, method, ended=ended)
        except strict.Partial:
            if ended:
                return
            try:
                data = await asyncio.wait_for(reader.read(1 << 16), patience)
            except TimeoutError:
                heard.hung = True
                return
            heard.left += data
            ended = heard.closed = not data
            continue
        except strict.Refused as refused:
            heard.odd = f"{refused}: {heard.left[:200]!r}"
            return
        heard.answers.append(answer)
        heard.left = heard.left[answer.end :]
        count += int(answer.start[1]) >= 200
        if ended and not heard.left:
            return


# -------------------------------------------------------------------------------------- comparing


def got_request(message: strict.Message, address: str) -> Seen:
    """A request as a backend got it."""
    fields = []
    for name, value in message.fields:
        text = value.decode("latin-1")
        if name == "x-request-id" and len(text) == 32:
            text = "*"
        if name == "host" and text == address:
            text = BACKEND
        fields.append(f"{name}: {text}")
    trailers = [f"{name}: {value.decode('latin-1')}" for name, value in message.trailers]
    start = f"{message.start[0]} {message.start[1]}"
    return Seen(start, sorted(fields), message.body.decode("latin-1"), trailers)


def got_response(message: strict.Message, wanted: Seen) -> Seen:
    """A response as a client got it."""
    ours = "date: *" in wanted.fields
    fields = [
        f"{name}: {'*' if ours and name == 'date' and value.endswith(b' GMT') else value.decode('latin-1')}"
        for name, value in message.fields
    ]
    trailers = [f"{name}: {value.decode('latin-1')}" for name, value in message.trailers]
    return Seen(message.start[1], sorted(fields), message.body.decode("latin-1"), trailers)


def in_order(seen: Seen) -> Seen:
    """The same with its fields sorted as text."""
    return Seen(seen.start, sorted(seen.fields), seen.body, seen.trailers)


async def play_request(port: int, recorder: Recorder, case: Case) -> list[str]:
    """Plays one request of the corpus; what is not as it has to be."""
    recorder.forget()
    data = (case.sent + SENTINEL).encode("latin-1")
    methods = [line.split(" ", 1)[0] for line in (seen.start for seen in case.seen)]
    if case.sent.startswith("HEAD ") and not methods:
        methods = ["HEAD"]
    finals = 1000 if case.closes else len(case.statuses) + 1
    heard = await ask(port, data, methods, finals, fin=False)
    statuses = case.statuses if case.closes else [*case.statuses, 200]
    wanted = list(case.seen)
    if not case.closes:
        after = strict.read_request(SENTINEL.encode())
        wanted.append(seen_request(after))
    return [
        *_differences("answered", statuses, heard.statuses),
        *_differences("closed", case.closes, heard.closed),
        *_differences(
            "the backend got",
            [in_order(seen) for seen in wanted],
            [got_request(message, recorder.address) for message in recorder.messages],
        ),
        *troubles(heard, recorder),
    ]


async def play_response(port: int, recorder: Recorder, case: Case) -> list[str]:
    """Plays one response of the corpus; what is not as it has to be."""
    recorder.forget()
    method, path, _version = case.ask.split("\r\n", 1)[0].split(" ")
    recorder.replies[path] = (case.sent.encode("latin-1"), case.then == "closes")
    broken = is_broken(case)
    closes = case.closes or broken
    finals = 1000 if closes else 2
    heard = await ask(port, (case.ask + SENTINEL).encode(), [method], finals, fin=False)
    del recorder.replies[path]
    statuses = case.statuses if closes else [*case.statuses, 200]
    told = heard.statuses
    if case.statuses == [502]:
        told = [status for status in told if status >= 200]
    found = [
        *_differences("answered", statuses, told),
        *_differences("closed", closes, heard.closed),
    ]
    if heard.left and not broken:
        found.append(f"besides, the client got {heard.left[:200]!r}")
    finals_heard = [answer for answer in heard.answers if int(answer.start[1]) >= 200]
    for wanted, answer in zip(case.seen, finals_heard, strict=False):
        found += _differences("the client got", in_order(wanted), got_response(answer, wanted))
    if not closes and finals_heard[1:]:
        found += _differences("the next answer", b"ok", finals_heard[1].body)
    if case.statuses == [502] and finals_heard:
        reasons = finals_heard[0].values("x-fairlead-reason")
        if reasons not in ([b"bad_response"], [b"backend_reset"]):
            found.append(f"the reason is {reasons}")
    return [*found, *troubles(heard, recorder)]


def _differences(what: str, wanted: object, found: object) -> list[str]:
    return [] if wanted == found else [f"{what} {found}, not {wanted}"]


def troubles(heard: Heard, recorder: Recorder) -> list[str]:
    """What must never be: something odd on either side, a connection that hangs."""
    troubles = [f"the backend got what is no request: {odd}" for odd in recorder.odd]
    if heard.hung:
        troubles.append("the connection hung")
    if heard.odd:
        troubles.append(f"the client got what is no answer: {heard.odd}")
    return troubles


# ------------------------------------------------------------------------------------------- lanes


def config(lanes: list[tuple[int, str]]) -> str:
    """A fairlead with a listener and a pool for each lane: its port, its backend's address."""
    return "".join(
        f"""
        [listeners.lane{number}]
        bind = "127.0.0.1:{port}"
        pool = "lane{number}"

        [pools.lane{number}]
        backends = ["{backend}"]
        check = {{ type = "none" }}
        """
        for number, (port, backend) in enumerate(lanes)
    )


Play = Callable[[int, Recorder, Case], Awaitable[list[str]]]


async def play_all(
    lanes: list[tuple[int, Recorder]], cases: list[Case], play: Play
) -> dict[str, list[str]]:
    """Plays all cases over the lanes; what is not as it has to be, by the case's name."""
    found: dict[str, list[str]] = {}
    waiting = iter(cases)

    async def run(port: int, recorder: Recorder) -> None:
        for case in waiting:
            if wrong := await play(port, recorder, case):
                found[case.name] = wrong

    await asyncio.gather(*(run(port, recorder) for port, recorder in lanes))
    return found
