"""The interpreter's lock is held: the engine goes on with traffic and with checks."""

from __future__ import annotations

import os
import threading

import pytest

from harness.backend import keeping, response
from harness.balancer import loopback, wait_for
from harness.config import site

HOLDS = """
import ctypes
import os
import struct
from pathlib import Path

import fairlead

HERE = Path(__file__).parent
POLLIN = 1

class Mine(fairlead.Policy):
    def pick(self, request, backends):
        # Called by way of PyDLL, poll keeps the lock until a byte comes, or for twenty seconds.
        until = os.open(HERE / "until", os.O_RDWR)
        one = ctypes.create_string_buffer(struct.pack("ihh", until, POLLIN, 0))
        poll = ctypes.PyDLL(None).poll
        (HERE / "held").touch()
        poll(one, 1, 20_000)
        return backends[0]
"""
FALL = 2
CHECK = f'type = "http", path = "/healthz", interval = "100ms", timeout = "1s", fall = {FALL}'


class Ill:
    """Answers requests, and checks as it is told to: traffic alone shows nothing against it."""

    def __init__(self, backend) -> None:
        self.is_ill = False
        self.failed = 0
        """Checks that were told so."""
        self.backend = backend(keeping(self._answer))

    def _answer(self, request) -> bytes:
        if not self.is_ill or request.target != "/healthz":
            return response(b"hello")
        self.failed += 1
        return response(b"", status="503 Service Unavailable")

    def served(self) -> int:
        """Requests so far that were no checks."""
        return sum(request.target == "/" for request in self.backend.requests)


class Held:
    """A pool whose policy holds the lock until it is released, and another pool beside it."""

    def __init__(self, fairlead, backend) -> None:
        self.ill, self.well = Ill(backend), Ill(backend)
        self.listen, self.other = loopback(), loopback()
        backends = f'["{self.ill.backend.address}", "{self.well.backend.address}"]'
        more = (
            f'[listeners.other]\nbind = "{self.other}"\npool = "other"\n'
            f"[pools.other]\nbackends = {backends}\ncheck = {{ {CHECK} }}\n"
        )
        first = backend(keeping(lambda _: response(b"first")))
        config = site(self.listen, first, pool='policy = "mine:Mine"', more=more)
        self.balancer = fairlead(config=config, files={"mine.py": HOLDS})
        self._until = self.balancer.folder / "until"
        os.mkfifo(self._until)

    def hold(self) -> None:
        """From now on nobody else has the lock."""
        assert self.balancer.connect(self.listen).get().status == 200
        wait_for((self.balancer.folder / "held").exists)

    def release(self) -> None:
        """And now they have."""
        self._until.write_bytes(b"x")

    def ask(self) -> tuple[int, int]:
        """Twenty requests to the other pool: how many of them each backend got."""
        before = self.ill.served(), self.well.served()
        with self.balancer.connect(self.other) as line:
            for _ in range(20):
                assert line.get().status == 200
        return self.ill.served() - before[0], self.well.served() - before[1]


@pytest.fixture
def held(fairlead, backend):
    made = Held(fairlead, backend)
    rows = made.balancer.backends
    wait_for(lambda: all(each["health"] == "healthy" for each in rows("other").values()))
    return made


def test_checks_take_a_backend_out_and_bring_it_back_while_the_lock_is_held(held) -> None:
    """The control API has to wait meanwhile; another pool's traffic doesn't, and loses nothing."""
    assert min(held.ask()) > 0
    held.hold()
    assert min(held.ask()) > 0, "traffic goes on"

    held.ill.is_ill = True
    wait_for(lambda: held.ill.failed > FALL and held.ask() == (0, 20))
    answered = threading.Event()
    asking = threading.Thread(target=lambda: (held.balancer.status(), answered.set()))
    asking.start()
    held.ill.is_ill = False
    wait_for(lambda: min(held.ask()) > 5)
    assert not answered.is_set(), "the lock is held still"

    held.release()
    asking.join(10)
    assert answered.is_set(), "and what has waited is answered"
    address = held.ill.backend.address
    told = [each["to"] for each in held.balancer.events() if each.get("backend") == address]
    assert [each for each in told if each in ("down", "healthy")][-2:] == ["down", "healthy"]
