"""The interpreter's lock is held: the engine goes on with traffic, checks and operators' wishes."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import time

import pytest

from harness.backend import keeping, response
from harness.balancer import loopback, run, wait_for
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
SOON = 2.5
"""Seconds for a command: Python has one to show that it is there."""
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
        self.backends = backends
        first = backend(keeping(lambda _: response(b"first")))
        self.config = site(self.listen, first, pool='policy = "mine:Mine"', more=more)
        self.balancer = fairlead(config=self.config, files={"mine.py": HOLDS})
        self.control = self.balancer.runtime / "fairlead" / f"{self.balancer.process.pid}.sock"
        self._until = self.balancer.folder / "until"
        os.mkfifo(self._until)

    def hold(self) -> None:
        """From now on nobody else has the lock."""
        assert self.balancer.connect(self.listen).get().status == 200
        wait_for((self.balancer.folder / "held").exists)

    def release(self) -> None:
        """And now they have."""
        self._until.write_bytes(b"x")

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


@pytest.fixture
def held(fairlead, backend):
    made = Held(fairlead, backend)
    rows = made.balancer.backends
    wait_for(lambda: all(each["health"] == "healthy" for each in rows("other").values()))
    return made


def test_checks_take_a_backend_out_and_bring_it_back_while_the_lock_is_held(held) -> None:
    """Another pool's traffic loses nothing, and an operator can see what is going on."""
    assert min(held.ask()) > 0
    held.hold()
    assert min(held.ask()) > 0, "traffic goes on"

    address = held.ill.backend.address
    held.ill.is_ill = True
    wait_for(lambda: held.ill.failed > FALL and held.ask() == (0, 20))
    assert held.balancer.backends("other")[address]["health"] == "down"
    held.ill.is_ill = False
    wait_for(lambda: min(held.ask()) > 5)
    assert held.is_stuck(), "the lock is held still"

    held.release()
    wait_for(lambda: not held.is_stuck())
    told = [each["to"] for each in held.balancer.events() if each.get("backend") == address]
    assert [each for each in told if each in ("down", "healthy")][-2:] == ["down", "healthy"]


def test_operators_are_answered_and_followed_while_the_lock_is_held(held) -> None:
    """And Python knows of it afterwards: of the events, and of wishes that are to hold."""
    ill, well = held.ill.backend.address, held.well.backend.address
    held.hold()
    status = json.loads(held.say("status", "--json"))
    assert status["python"].startswith("stuck since 2")
    assert status["pid"] == held.balancer.process.pid
    assert "python: stuck since 2" in held.say("status")

    assert f"other/{ill} is draining, healthy" in held.say("drain", f"other/{ill}")
    assert held.ask() == (0, 20), "it gets no new traffic"
    held.say("weight", f"other/{well}", "7")

    code, health = held.balancer.api("GET", "/healthz")
    assert (code, health["status"], health["python"]) == (200, "ok", status["python"])
    assert "\nfairlead_requests_total{" in held.balancer.text("/metrics")[1]
    code, refusal = held.balancer.api("POST", "/v1/reload")
    assert (code, refusal["code"]) == (503, "python_stuck")

    held.release()
    wait_for(lambda: not held.is_stuck())
    rows = held.balancer.backends("other")
    assert (rows[ill]["state"], rows[well]["weight"]) == ("draining", 7)
    wishes = [each["backend"] for each in held.balancer.events() if each["event"] == "wish"]
    assert wishes == [ill, well], "each of them once"

    # Python says so only of wishes that it knows.
    both = held.backends.replace(f'"{ill}"', f'{{ address = "{ill}", state = "disabled" }}')
    code, answer = held.balancer.reload(held.config.replace(held.backends, both))
    assert code == 200, answer
    held.balancer.wait_for_output(f"other/{ill} was changed in the configuration")
    rows = held.balancer.backends("other")
    assert (rows[ill]["state"], rows[well]["weight"]) == ("disabled", 7)


def test_a_connection_that_python_has_waits_for_python(held) -> None:
    """Each request is answered once, by whoever took its connection."""
    line = http.client.HTTPConnection("localhost", timeout=10)
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.connect(str(held.control))
    line.request("GET", "/healthz")
    assert json.loads(line.getresponse().read()) == {"status": "ok"}

    held.hold()
    line.request("GET", "/healthz")
    assert held.is_stuck(), "others are answered"
    assert select.select([line.sock], [], [], 0)[0] == []

    held.release()
    assert json.loads(line.getresponse().read()) == {"status": "ok"}
    assert select.select([line.sock], [], [], 0)[0] == [], "and once"
    line.close()
