"""Clients that ask at a steady rate, whatever becomes of their questions, and what they saw."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.balancer import wait_for
from harness.line import Line, dial
from harness.standstill import Standstill

SLOW = 0.3
"""Seconds from which a client would call it slow. The connect timeout is 1 s."""

Ask = Callable[[Line], bytes]
"""Asks on a new connection; the answer, or an exception if there was no good one."""


class Refused(Exception):
    """An answer came, but not the one that was asked for."""


@dataclass
class Seen:
    """What clients saw while traffic ran."""

    times: list[float] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    failures: list[object] = field(default_factory=list)
    stall: float = 0.0
    """The longest that nobody here could run meanwhile, in seconds; known at the end."""

    @property
    def slow(self) -> int:
        """How many took longer than `SLOW`, beside that."""
        return sum(1 for seconds in self.times if seconds > SLOW + self.stall)

    @property
    def slowest(self) -> float:
        """The longest that one of them took, beside that."""
        return max(self.times) - self.stall

    @property
    def whole(self) -> int:
        """How many asked."""
        return len(self.times) + len(self.failures)


def by_http(method: str = "GET", size: int = 0) -> Ask:
    """Asks for `/` with a body of ``size`` bytes; the body of a 200."""
    length = f"Content-Length: {size}\r\n" if size or method != "GET" else ""
    request = f"{method} / HTTP/1.1\r\nHost: app\r\n{length}\r\n".encode() + b"x" * size

    def ask(line: Line) -> bytes:
        answer = line.ask(request, method)
        if answer.status != 200:
            raise Refused(answer.status, answer.reason)
        return answer.body

    return ask


def by_tcp(line: Line) -> bytes:
    """Sends a line, reads a line."""
    line.send(b"who\n")
    return line.read_line()


def numbered(sent: list[int]) -> Ask:
    """POSTs whose bodies are numbers; those that began are in ``sent``."""
    count = itertools.count()

    def ask(line: Line) -> bytes:
        number = next(count)
        sent.append(number)
        head = "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 6\r\n\r\n"
        answer = line.ask(f"{head}{number:06d}")
        if answer.status != 200:
            raise Refused(number, answer.status, answer.reason)
        return b"%06d" % number

    return ask


def ask_once(listen: str, ask: Ask, seen: Seen) -> None:
    """One client: a new connection, one question."""
    started = time.monotonic()
    try:
        with dial(listen) as line:
            seen.answers.append(ask(line))
    except (OSError, AssertionError, Refused) as failure:
        seen.failures.append(failure)
        return
    seen.times.append(time.monotonic() - started)


def in_turn(listen: str, ask: Ask, count: int) -> Seen:
    """So many clients, one after the other."""
    seen = Seen()
    with Standstill() as still:
        for _ in range(count):
            ask_once(listen, ask, seen)
    seen.stall = still.longest
    return seen


class Traffic:
    """Clients that ask at a steady rate, each on a new connection, until the block ends."""

    def __init__(self, listen: str, rate: float, ask: Ask) -> None:
        self.seen = Seen()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listen, self._rate, self._ask = listen, rate, ask

    def __enter__(self) -> Seen:
        self._ticker = threading.Thread(target=self._tick)
        self._still = Standstill().__enter__()
        self._ticker.start()
        return self.seen

    def _tick(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            # Each request is due at its time, whatever became of those before it.
            thread = threading.Thread(target=ask_once, args=(self._listen, self._ask, self.seen))
            thread.start()
            self._threads.append(thread)
            due += 1 / self._rate
            time.sleep(max(0.0, due - time.monotonic()))

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._ticker.join()
        for thread in self._threads:
            thread.join(10)
        self._still.__exit__()
        self.seen.stall = self._still.longest


def learn(listen: str, ask: Ask, *names: bytes, rate: float = 50) -> None:
    """Asks until all is as usual: of the last ten each of these has answered some, and nobody else.

    On a busy machine the first connect to a new host, or its first check, may be so late that it is
    used last for a moment.
    """
    with Traffic(listen, rate, ask) as seen:
        wait_for(
            lambda: len(seen.answers) >= 20 and set(seen.answers[-10:]) == set(names),
            otherwise=lambda: f"{seen.answers[-20:]}, wanted {names}",
        )
    assert seen.failures == []
