"""tcp: a backend that takes connections and bytes, and says nothing any more."""

from __future__ import annotations

import socket
import threading

import pytest

from harness.backend import echo
from harness.balancer import loopback
from harness.config import site, table

PATIENCE = 1.0
"""Seconds that a client waits for its echo."""
CLIENTS = 60


class Moody:
    """An echo that falls silent, or hangs up without a word, when it is told to."""

    def __init__(self) -> None:
        self.hangs_up = threading.Event()
        self.is_silent = threading.Event()
        self.ends = threading.Event()

    def play(self, line) -> None:
        while data := line.read_some():
            if self.hangs_up.is_set():
                return
            if self.is_silent.is_set():
                self.ends.wait(60)
                return
            line.send(data)


@pytest.fixture
def moody():
    made = Moody()
    yield made
    made.ends.set()


def is_echoed(listen: str) -> bool:
    """Whether a new connection gets its echo within a client's patience."""
    host, _, port = listen.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), PATIENCE) as client:
            client.sendall(b"hello")
            return client.recv(5) == b"hello"
    except (TimeoutError, ConnectionError):
        return False


def ask(listen: str, clients: int) -> int:
    """So many clients, some of them at once; how many got no echo."""
    failed: list[int] = []
    turns = iter(range(clients))
    lock = threading.Lock()

    def come() -> None:
        while True:
            with lock:
                turn = next(turns, None)
            if turn is None:
                return
            if not is_echoed(listen):
                failed.append(turn)

    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(failed)


@pytest.mark.parametrize("group", [0, 1])
@pytest.mark.parametrize("mood", ["is_silent", "hangs_up"])
def test_who_falls_silent_is_left_alone_in_its_group_or_not(
    fairlead, backend, moody, mood: str, group: int
) -> None:
    """A connect check passes all the while, and with a backup nobody else is asked meanwhile."""
    one, two = backend(moody.play), backend(echo)
    listen = loopback()
    check = 'type = "tcp", interval = "200ms"'
    both = (one, table(two, group=group))
    config = "workers = 1\n" + site(listen, *both, protocol="tcp", check=check)
    balancer = fairlead(config=config)
    assert ask(listen, 20) == 0

    getattr(moody, mood).set()
    failed = ask(listen, CLIENTS)

    # Six at once are there when it begins, and as many may come before three in a row are late;
    # after that one now and then tries whether it is over.
    assert 1 <= failed <= 20
    assert balancer.backends()[one.address]["health"] in ("suspect", "down")
