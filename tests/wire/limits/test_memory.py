"""Memory in all: at the limit what idles goes, nothing new is begun, what is under way goes on."""

from __future__ import annotations

import contextlib
import threading

import pytest

from harness.backend import keeping, response, saying
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.line import Line, Message

MIB = 1 << 20
IDLE = 12


class FullMemory:
    """Hundreds of uploads that nobody answers: each is kept, so that it can be sent again."""

    def __init__(self, fairlead, backend) -> None:
        self._go = threading.Event()
        self.backend = backend(keeping(self._answer))
        self.listen = loopback()
        limits = '[limits]\nmemory = "64MiB"\nconnections = 2000'
        # Its queue of connections is short, and who waits for a place in it keeps what it sent.
        patient = 'timeouts = { connect = "30s" }'
        config = site(self.listen, self.backend, pool=patient, more=limits)
        self.balancer = fairlead(config=config)
        self._uploads: list[Line] = []

    def _answer(self, request: Message) -> bytes | None:
        quick = request.target == "/quick"
        return response(b"hello") if quick or self._go.wait(25) else None

    def is_full(self) -> bool:
        return bool(self.balancer.status()["memory"]["full"])

    def fill(self) -> None:
        """Until memory is full."""
        assert not self.is_full()
        head = b"PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: 60000\r\n\r\n"
        for _ in range(1_500):
            with contextlib.suppress(OSError):
                line = self.balancer.connect(self.listen)
                line.send(head + b"x" * 60_000)
                self._uploads.append(line)
            if len(self._uploads) % 50 == 0 and self.is_full():
                break
        wait_for(self.is_full)

    def release(self) -> None:
        """Everybody is answered, and leaves."""
        self._go.set()
        for line in self._uploads:
            line.close()

    def made_room(self) -> int:
        return int(self.balancer.listener("web")["reasons"].get("made_room", 0))


@pytest.fixture
def filled(fairlead, backend):
    return FullMemory(fairlead, backend)


def test_without_memory_newcomers_are_refused_and_it_recovers(filled) -> None:
    balancer, listen = filled.balancer, filled.listen
    early = balancer.connect(listen)
    early.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    wait_for(lambda: filled.backend.requests)
    filled.fill()

    assert balancer.connect(listen).get().reason == "memory_full"
    assert balancer.resident_bytes() < 96 * MIB
    filled.release()
    assert early.read_response().body == b"hello", "what was under way goes on"
    wait_for(lambda: not filled.is_full(), 10)
    assert balancer.connect(listen).get().status == 200
    told = [each["full"] for each in balancer.events() if each["event"] == "memory"]
    assert told == [True, False]


def test_without_memory_what_idles_goes_before_newcomers_are_let_in(filled) -> None:
    """Idle connections are closed, requests under way are not, and afterwards all are served."""
    balancer, listen = filled.balancer, filled.listen
    early = balancer.connect(listen)
    early.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    wait_for(lambda: filled.backend.requests)
    idle = [balancer.connect(listen) for _ in range(IDLE)]
    for line in idle:
        assert line.get("/quick").status == 200
    filled.fill()

    def turned_away_until_nobody_idles() -> bool:
        with balancer.connect(listen) as newcomer:
            assert newcomer.get("/quick").reason == "memory_full"
        return all(line.is_closed(0.01) for line in idle)

    # Each closes four of the worker that refuses it, and the workers take turns.
    wait_for(turned_away_until_nobody_idles, 10)
    made_room = filled.made_room()
    assert made_room >= IDLE
    filled.release()
    assert early.read_response().body == b"hello", "who was at a request stayed"
    wait_for(lambda: not filled.is_full(), 10)
    for _ in range(IDLE):
        assert balancer.connect(listen).get("/quick").status == 200
    assert filled.made_room() == made_room, "nobody more is closed when there is memory"
    told = [each["full"] for each in balancer.events() if each["event"] == "memory"]
    assert told == [True, False], "it has not swung"


@pytest.mark.alone
def test_what_many_clients_have_taken_is_given_back_when_they_have_left(fairlead, backend) -> None:
    """Places, deadlines: half a kibibyte for each. At most half of it stays, between what is in use."""
    listen, one = loopback(), backend(saying(b"hello"))
    balancer = fairlead(config=site(listen, one, more="[limits]\nconnections = 8000"))

    def come(count: int) -> list[Line]:
        lines = [balancer.connect(listen) for _ in range(count)]
        assert {line.get().status for line in lines} == {200}
        return lines

    def leave(lines: list[Line]) -> None:
        for line in lines:
            line.close()
        wait_for(lambda: balancer.listener()["connections_active"] == 0, 20)

    leave(come(200))
    before = balancer.resident_bytes()
    many = come(4_000)
    peak = balancer.resident_bytes() - before
    leave(many)

    # The look for what can be given back is made every ten seconds.
    def left() -> int:
        return balancer.resident_bytes() - before

    wait_for(lambda: left() <= peak // 2, 22, lambda: f"{left() >> 10} KiB of {peak >> 10} KiB")
