"""tcp: connections that are made for one question and one answer."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.backend import echo
from harness.balancer import Balancer, wait_for
from harness.line import Line

ROUNDS, AT_ONCE = 150, 8


def ask(balancer: Balancer, question: bytes) -> bytes:
    """A connection of its own for this question: all that comes until its end."""
    with balancer.connect() as line:
        line.send(question)
        line.finish()
        return line.read_to_end()


def test_each_gets_its_own_answer(tcp, backend) -> None:
    """One after the other and side by side: sockets, ids and buffers go from one to the next."""
    balancer = tcp(backend(echo), backend(echo))

    def asker(number: int) -> None:
        for turn in range(ROUNDS):
            question = f"{number}/{turn} ".encode() * (1 + turn % 40)
            assert ask(balancer, question) == question

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for done in [threads.submit(asker, number) for number in range(AT_ONCE)]:
            done.result()

    wait_for(lambda: balancer.listener()["connections_active"] == 0)
    listener = balancer.listener()
    assert listener["connections_total"] == ROUNDS * AT_ONCE
    assert listener["bytes_in"] == listener["bytes_out"]


def test_some_that_break_leave_nothing_to_the_next(tcp, backend) -> None:
    """Ends of all kinds in turns: in order, by a reset, before the answer, with bytes unread."""

    def play(line: Line) -> None:
        question = line.read_some()
        line.send(question)
        if b"reset" in question:
            line.reset()
        elif b"stay" in question:
            line.read_to_end()

    balancer = tcp(backend(play))
    for turn in range(60):
        line = balancer.connect()
        match turn % 5:
            case 0:
                line.send(b"%d reset" % turn)
                with pytest.raises(ConnectionResetError):
                    line.read_to_end()
            case 1:
                line.send(b"%d stay" % turn)
                line.reset()
            case 2:
                line.send(b"%d stay" % turn)
                line.close()
            case _:
                line.send(b"%d stay" % turn)
                line.finish()
                assert line.read_to_end() == b"%d stay" % turn
        line.close()

    wait_for(lambda: balancer.listener()["connections_active"] == 0)


def test_descriptors_are_given_back(tcp, backend) -> None:
    balancer = tcp(backend(echo))
    ask(balancer, b"x")
    descriptors = Path(f"/proc/{balancer.process.pid}/fd")
    before = len(list(descriptors.iterdir()))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda _: ask(balancer, b"x"), range(200)))

    # Of sockets that could be used again no more are there than connections at a time.
    workers = balancer.status()["workers"]
    wait_for(lambda: len(list(descriptors.iterdir())) <= before + AT_ONCE * workers)


def nagle(line: Line) -> None:
    line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)


@pytest.mark.alone  # delays of 40 and 200 ms are looked for
def test_a_backend_that_speaks_first_is_heard_at_once(tcp, backend) -> None:
    balancer = tcp(backend(lambda line: line.send(b"220 hello\r\n")))

    began = time.monotonic()
    for _ in range(20):
        with balancer.connect() as line:
            assert line.read(11) == b"220 hello\r\n"

    assert time.monotonic() - began < 2, "200 ms each is how long the kernel waits for data"


@pytest.mark.alone
def test_an_answer_in_small_pieces_is_not_held_back(tcp, backend) -> None:
    """Who has Nagle on sends the second piece when the first is acknowledged."""

    def play(line: Line) -> None:
        nagle(line)
        line.read_some()
        for piece in (b"a", b"b", b"c"):
            line.send(piece)

    balancer = tcp(backend(play))
    began = time.monotonic()
    for _ in range(40):
        with balancer.connect() as line:
            line.send(b"?")
            assert line.read(3) == b"abc"

    assert time.monotonic() - began < 1.2, "40 ms each is how long the kernel delays it"
