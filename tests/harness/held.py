"""Users' Python that holds the interpreter's lock, as native code that doesn't release it does."""

from __future__ import annotations

import threading
import time
from typing import Any

from harness.backend import keeping, response
from harness.balancer import loopback, run, wait_for
from harness.config import site

HOLDS = """
import contextlib
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
        with contextlib.suppress(FileExistsError):
            os.mkfifo(HERE / "until")
        until = os.open(HERE / "until", os.O_RDWR)
        one = ctypes.create_string_buffer(struct.pack("ihh", until, POLLIN, 0))
        poll = ctypes.PyDLL(None).poll
        (HERE / "held").touch()
        poll(one, 1, 20_000)
        return backends[0]
"""
FALL = 2
SOON = 2.5
"""Seconds for a command: Python has one to show that it is there."""
CHECK = f'type = "http", path = "/healthz", interval = "100ms", timeout = "1s", fall = {FALL}'


class Ill:
    """Answers requests, and checks as it is told to: traffic alone shows nothing against it."""

    def __init__(self, backend) -> None:
        self.is_ill = False
        self.go = threading.Event()
        """Until then, who asks for ``/slow`` waits."""
        self.failed = 0
        """Checks that were told so."""
        self.backend = backend(keeping(self._answer))

    def _answer(self, request) -> bytes:
        if request.target == "/slow":
            self.go.wait(15)
        if not self.is_ill or request.target != "/healthz":
            return response(b"hello")
        self.failed += 1
        return response(b"", status="503 Service Unavailable")

    def served(self) -> int:
        """Requests so far that were no checks."""
        return sum(request.target == "/" for request in self.backend.requests)


class Held:
    """A pool whose policy holds the lock until it is released, and another pool beside it."""

    def __init__(self, fairlead, backend, top: str = "", **more_of_it: Any) -> None:
        self.ill, self.well = Ill(backend), Ill(backend)
        self.listen, self.other = loopback(), loopback()
        backends = f'["{self.ill.backend.address}", "{self.well.backend.address}"]'
        more = (
            f'[listeners.other]\nbind = "{self.other}"\npool = "other"\n'
            f"[pools.other]\nbackends = {backends}\ncheck = {{ {CHECK} }}\n"
        )
        self.backends = backends
        first = backend(keeping(lambda _: response(b"first")))
        self.config = top + site(self.listen, first, pool='policy = "mine:Mine"', more=more)
        self.balancer = fairlead(config=self.config, files={"mine.py": HOLDS}, **more_of_it)
        self.control = self.balancer.runtime / "fairlead" / f"{self.balancer.process.pid}.sock"
        self._until = self.balancer.folder / "until"

    def hold(self) -> None:
        """From now on nobody else has the lock."""
        assert self.balancer.connect(self.listen).get().status == 200
        self.wait_held()

    def wait_held(self) -> None:
        """Until nobody else has it."""
        wait_for((self.balancer.folder / "held").exists)

    def release(self) -> None:
        """And now they have."""
        self._until.write_bytes(b"x")

    def go(self) -> None:
        """Have requests for ``/slow`` answered from now on."""
        self.ill.go.set()
        self.well.go.set()

    def is_stuck(self) -> bool:
        """Whether the control socket is answered without Python."""
        return "python" in self.balancer.status()

    def say(self, *words: str) -> str:
        """What a command answers; it has to be soon, and has to succeed."""
        began = time.monotonic()
        done = run(*words, "--instance", str(self.control))
        assert (done.returncode, time.monotonic() - began < SOON) == (0, True), done
        return done.stdout + done.stderr

    def ask(self) -> tuple[int, int]:
        """Twenty requests to the other pool: how many of them each backend got."""
        before = self.ill.served(), self.well.served()
        with self.balancer.connect(self.other) as line:
            for _ in range(20):
                assert line.get().status == 200
        return self.ill.served() - before[0], self.well.served() - before[1]
