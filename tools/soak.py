"""Traffic, faults, aborting clients, wishes and reloads for a long time; then what is left of it all.

Four backends take turns at failing (restarting, resetting, answering rubbish, answering late) so
that one at least is always well; clients ask all the while over kept and fresh connections; others
leave in the middle of whatever they do; every two seconds the configuration is reloaded, every
three a backend is drained and enabled again. Beside them clients of a tcp listener have their bytes
back, and one WebSocket stays open from the beginning to the end.

The same load has run for a minute before the first look, so that whatever is made once is there.
It ends with a table: open files, memory, threads, connections and what is in flight, before and
after, each when all have left and memory has been given back; with exit code 1 if a client saw an
error that it did not make itself, or if anything did not come back to where it began.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import itertools
import os
import platform
import random
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.sync.server import serve

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from soak_held import Held, table, what_grew

from harness.backend import Backend, echo, response
from harness.balancer import Balancer, loopback, wait_for
from harness.config import addresses, site
from harness.sources import commit

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.sync.server import ServerConnection

    from harness.line import Line

WARM_SECONDS = 60.0
"""Before the first look: what is needed once is there, then."""
ROUNDS_SECONDS, REST_SECONDS = 25.0, 40.0
"""Memory is given back in rounds of ten seconds (crates/fairlead-engine/src/drive.rs): two have passed
then; and so long at most it may go on falling."""
CLIENTS, LEAVERS, ECHOERS = 8, 2, 2
KEEPALIVE_SECONDS = 3
FAULT_EVERY = 10.0
"""Seconds from one backend's fault to the next one's. Each of four is well for more than half a
minute between two of its own: who falls ill again sooner is held back on purpose, and with three
held back the fourth can't be drained without loss."""
BIG = response(b"x" * (1 << 20))
HEAD = "Host: app\r\nX-Soak: 1\r\n"


class Moody(Backend):
    """A backend whose mood is set from outside."""

    def __init__(self) -> None:
        self.mood = "well"
        super().__init__(self.serve)

    def serve(self, line: Line) -> None:
        """Answer as the mood is."""
        while request := line.read_request():
            line.requests.clear()
            if self.mood == "resets":
                line.reset()
                return
            if self.mood == "rubbish":
                line.send(b"?\r\n\r\n")
                return
            if self.mood == "late":
                time.sleep(0.2)
            line.send(BIG if request.target == "/big" else response(request.target.encode()))


def say_again(line: ServerConnection) -> None:
    """The other end of a WebSocket."""
    for text in line:
        line.send(text)


class Soak:
    """All of it."""

    def __init__(self, rate: float) -> None:
        self.pause = CLIENTS / rate
        self.backends = [Moody() for _ in range(4)]
        self.echoes = [Backend(echo) for _ in range(2)]
        self.chat = serve(say_again, "127.0.0.1", 0)
        self.listen, self.tcp, self.websocket = loopback(), loopback(), loopback()
        self.stop = threading.Event()
        self.requests = self.echoed = self.said = self.left = self.reloads = self.faults = (
            self.restarts
        ) = 0
        self.errors: list[str] = []
        check = 'type = "http", path = "/check", interval = "300ms", timeout = "500ms"'
        keep = f'timeouts = {{ keepalive = "{KEEPALIVE_SECONDS}s" }}'
        self.configs = [
            site(
                self.listen,
                *self.backends,
                check=check,
                pool=f'policy = "{policy}"\n{keep}',
                more=self.tunnels(),
            )
            for policy in ("round-robin", "least-connections", "peak-ewma", "p2c")
        ]
        self.balancer = Balancer(config=self.configs[0])

    def tunnels(self) -> str:
        """The listeners whose bytes nobody reads, and their pools."""
        host, port = self.chat.socket.getsockname()
        return f"""
            [listeners.echo]
            bind = "{self.tcp}"
            protocol = "tcp"
            pool = "echo"

            [pools.echo]
            backends = {addresses(*self.echoes)}

            [listeners.chat]
            bind = "{self.websocket}"
            protocol = "http"
            pool = "chat"

            [pools.chat]
            backends = ["{host}:{port}"]
            check = {{ type = "none" }}
        """

    def have_back(self, seed: int) -> None:
        """A client of the tcp listener: each connection has some of its bytes back."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        while not self.stop.wait(self.pause):
            try:
                with self.balancer.connect(self.tcp) as line:
                    for _ in range(chance.randrange(1, 20)):
                        data = chance.randbytes(chance.choice([1, 100, 50_000]))
                        line.send(data)
                        if line.read(len(data)) != data:
                            self.errors.append("tcp: other bytes")
                        self.echoed += 1
            except (OSError, AssertionError) as failure:
                self.errors.append(f"tcp: {failure!r}")

    def talk(self) -> None:
        """One WebSocket, open from the beginning to the end."""
        try:
            with connect(f"ws://{self.websocket}/", proxy=None) as line:
                while not self.stop.wait(0.05):
                    line.send(f"{self.said}")
                    if line.recv(10) != f"{self.said}":
                        self.errors.append("websocket: another message")
                    self.said += 1
        except (OSError, WebSocketException) as failure:
            self.errors.append(f"websocket: {failure!r}")

    def ask(self, client: int) -> None:
        """One client, until the end; every other one keeps its connection."""
        line = None
        for number in itertools.count():
            if self.stop.is_set():
                break
            try:
                if line is None or client % 2 == 0:
                    if line is not None:
                        line.close()
                    line = self.balancer.connect(self.listen)
                answer = line.get(f"/{number}")
                if (answer.status, answer.body) != (200, f"/{number}".encode()):
                    self.errors.append(f"{answer.start} {answer.reason} {answer.body[:40]!r}")
            except (OSError, AssertionError) as failure:
                self.errors.append(repr(failure))
                line = None
            self.requests += 1
            time.sleep(self.pause)
        if line is not None:
            line.close()

    def leave(self, seed: int) -> None:
        """A client that goes in the middle of things, until the end."""
        chance = random.Random(seed)  # noqa: S311 - no secret

        def flood(line: Line) -> None:
            """Sends, and takes nothing of what comes back."""
            line.send(b"x" * 200_000)

        ways: list[Callable[[Line], object]] = [
            flood,
            lambda _: None,
            lambda line: line.send(f"GET / HTTP/1.1\r\n{HEAD}".encode()),
            lambda line: line.send(f"GET / HTTP/1.1\r\n{HEAD}\r\n".encode()),
            lambda line: line.send(f"GET / HTTP/1.1\r\n{HEAD}\r\n".encode() * 20),
            lambda line: (line.send(f"GET /big HTTP/1.1\r\n{HEAD}\r\n".encode()), line.read(5000)),
            lambda line: line.send(
                f"POST / HTTP/1.1\r\n{HEAD}Content-Length: 100000\r\n\r\n".encode() + b"x" * 40_000
            ),
            lambda line: line.send(
                f"POST / HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhel".encode()
            ),
        ]
        while not self.stop.wait(self.pause):
            with contextlib.suppress(OSError, AssertionError):
                way = chance.choice(ways)
                line = self.balancer.connect(self.tcp if way is flood else self.listen)
                with contextlib.suppress(OSError, AssertionError):
                    way(line)
                    time.sleep(chance.choice([0, 0, 0.01, 0.1]))
                chance.choice([line.reset, line.close])()
            self.left += 1

    def misbehave(self) -> None:
        """One backend after the other has a bad time; never two at once."""
        # Five for four backends: everybody has every mood in turn.
        moods = itertools.cycle(["restarts", "resets", "rubbish", "late", "restarts"])
        for backend, mood in zip(itertools.cycle(self.backends), moods, strict=False):
            self.faults += 1
            if mood == "restarts":
                self.restarts += 1
                backend.refuse()
                backend.cut()
            backend.mood = mood
            ended = self.stop.wait(1.5)
            backend.mood = "well"
            if mood == "restarts":
                backend.listen_again()
            if ended or self.stop.wait(FAULT_EVERY - 1.5):
                return
            for each in [*self.backends, *self.echoes]:
                each.forget()

    def steer(self) -> None:
        """Reloads, and wishes."""
        for config, backend in zip(
            itertools.cycle(self.configs), itertools.cycle(self.backends), strict=False
        ):
            self.done("reload", self.balancer.reload(config))
            self.reloads += 1
            path = f"/v1/pools/app/backends/{backend.address}"
            self.done("drain", self.balancer.api("PATCH", path, {"state": "draining"}))
            ended = self.stop.wait(0.3)
            self.done("enable", self.balancer.api("PATCH", path, {"state": "enabled"}))
            if ended or self.stop.wait(1.7):
                return

    def done(self, what: str, answer: tuple[int, object]) -> None:
        """An error unless it was done."""
        if answer[0] != 200:
            self.errors.append(f"{what}: {answer}")

    def thread(self, job: Callable[..., None], *given: object) -> threading.Thread:
        """Does a job that must not end early: half of the load would be missing."""

        def work() -> None:
            try:
                job(*given)
            except Exception as error:  # noqa: BLE001  # whatever it was, the soak has failed
                self.errors.append(f"{job.__name__} has ended: {error!r}")

        return threading.Thread(target=work)

    def play(self, seconds: float) -> None:
        """Everything at once, and a line every ten seconds."""
        self.stop.clear()
        threads = [
            *(self.thread(job) for job in (self.misbehave, self.steer, self.talk)),
            *(self.thread(self.ask, client) for client in range(CLIENTS)),
            *(self.thread(self.leave, seed) for seed in range(LEAVERS)),
            *(self.thread(self.have_back, seed) for seed in range(ECHOERS)),
        ]
        for thread in threads:
            thread.start()
        started = time.monotonic()
        while (passed := time.monotonic() - started) < seconds and not self.errors[20:]:
            self.stop.wait(min(10.0, seconds - passed))
            now = Held.of(self.balancer)
            print(
                f"{time.monotonic() - started:6.0f} s  {self.requests} requests, "
                f"{self.left} left in the middle, {len(self.errors)} errors, "
                f"{now.resident_kib} KiB, {now.files} descriptors",
                flush=True,
            )
        if self.errors:
            for event in self.balancer.events()[-40:]:
                print("event:", event["time"], event.get("text") or event)
        self.stop.set()
        for thread in threads:
            thread.join()

    def rest(self) -> Held:
        """Once nobody is there any more and memory has been given back: what it holds."""
        with contextlib.suppress(AssertionError):
            wait_for(lambda: (now := self.look()).clients == now.in_flight == 0, 30)
        until = time.monotonic() + REST_SECONDS
        time.sleep(ROUNDS_SECONDS)
        now = self.look()
        while time.monotonic() < until:
            time.sleep(5)
            before, now = now, self.look()
            if now.resident_kib >= before.resident_kib:
                break
        return now

    def look(self) -> Held:
        """What it holds now."""
        return Held.of(self.balancer)

    def run(self, seconds: float) -> tuple[int, str]:
        """The exit code and the report."""
        threading.Thread(target=self.chat.serve_forever, daemon=True).start()
        self.play(min(WARM_SECONDS, seconds))
        before = self.rest()
        self.requests = self.echoed = self.said = self.left = 0
        self.faults = self.restarts = self.reloads = 0
        started = time.monotonic()
        self.play(seconds)
        took = time.monotonic() - started
        after = self.rest()
        grown = what_grew(before, after, len(self.backends) + len(self.echoes))
        reasons = self.balancer.listener("web")["reasons"]
        panics = [each for each in self.balancer.events() if each["event"] == "panic"]
        code = self.end()
        lines = [f"error: {error}" for error in self.errors[:10]]
        said = [
            f"{took / 60:.1f} minutes: {self.requests:,} requests",
            f"{self.echoed:,} times bytes back over tcp, {self.said:,} over one WebSocket",
            f"{len(self.errors)} of them failed",
            f"{self.left:,} clients left in the middle",
            f"{self.faults} faults of a backend, {self.restarts} of them restarts",
            f"{self.reloads} reloads",
        ]
        lines += [
            "; ".join(said) + ".",
            f"Reasons counted: {reasons or 'none'}; panics: {len(panics)}; exit code {code}.",
            f"Before it the same load had run for {min(WARM_SECONDS, seconds):.0f} s.",
            "",
            *table(before, after),
        ]
        held = (after.clients, after.in_flight) != (0, 0)
        bad = self.errors or panics or held or code != 0 or grown
        return int(bool(bad)), "\n".join([*lines, *grown])

    def end(self) -> int:
        """End it and all backends: its exit code."""
        code = self.balancer.stop()
        self.balancer.close()
        self.chat.shutdown()
        for backend in [*self.backends, *self.echoes]:
            backend.close()
        return code


def main() -> int:
    """Soak for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--rate", type=float, default=200, help="requests a second, about")
    parser.add_argument("--out", type=Path, help="write the report there, too")
    asked = parser.parse_args()
    code, report = Soak(asked.rate).run(asked.seconds)
    print(report)
    if asked.out:
        head = (
            f"# Mixed load\n\nBy `tools/soak.py --seconds {asked.seconds:.0f} --rate "
            f"{asked.rate:.0f}`, {dt.datetime.now(tz=dt.UTC).date()}, version {commit()}, Linux "
            f"{platform.release()}, {os.cpu_count()} processors.\n\n"
        )
        asked.out.write_text(head + report + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
