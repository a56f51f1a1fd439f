"""Traffic, faults, aborting clients, wishes and reloads for a long time; then what is left of it all.

Four backends take turns at failing (restarting, resetting, answering rubbish, answering late) so
that one at least is always well; clients ask all the while over kept and fresh connections; others
leave in the middle of whatever they do; every two seconds the configuration is reloaded, every
three a backend is drained and enabled again.

It ends with a table: open files, memory, connections and what is in flight, before and after; with
exit code 1 if a client saw an error that it did not make itself, or if anything did not come back
to where it began.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import itertools
import os
import platform
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from harness.backend import Backend, response
from harness.balancer import Balancer, loopback, wait_for
from harness.config import site

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.line import Line

WARM_SECONDS = 10.0
"""Before the first look: what is needed once is there, then."""
GROWTH_MAX = 24 << 20
CLIENTS, LEAVERS = 8, 2
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

    def forget(self) -> None:
        """What is remembered of connections that have ended: this program's memory, not fairlead's."""
        self.lines = [line for line in self.lines if line.socket.fileno() != -1]
        self._threads = [thread for thread in self._threads if thread.is_alive()]


class Held(NamedTuple):
    """What fairlead holds at one time."""

    files: int
    resident_kib: int
    threads: int
    clients: int
    in_flight: int

    @classmethod
    def of(cls, balancer: Balancer) -> Held:
        """As it is now."""
        status = balancer.status()
        backends = [each for pool in status["pools"] for each in pool["backends"]]
        return cls(
            files=balancer.open_files(),
            resident_kib=balancer.resident_bytes() >> 10,
            threads=len(list(Path(f"/proc/{balancer.process.pid}/task").iterdir())),
            clients=sum(each["connections_active"] for each in status["listeners"]),
            in_flight=sum(each["active"] for each in backends),
        )


class Soak:
    """All of it."""

    def __init__(self, rate: float) -> None:
        self.pause = CLIENTS / rate
        self.backends = [Moody() for _ in range(4)]
        self.listen = loopback()
        self.stop = threading.Event()
        self.requests = self.left = self.reloads = self.faults = self.restarts = 0
        self.errors: list[str] = []
        check = 'type = "http", path = "/check", interval = "300ms", timeout = "500ms"'
        keep = f'timeouts = {{ keepalive = "{KEEPALIVE_SECONDS}s" }}'
        self.configs = [
            site(self.listen, *self.backends, check=check, pool=f'policy = "{policy}"\n{keep}')
            for policy in ("round-robin", "least-connections", "peak-ewma", "p2c")
        ]
        self.balancer = Balancer(config=self.configs[0])

    def ask(self, *, keep: bool) -> None:
        """One client, until the end."""
        line = None
        for number in itertools.count():
            if self.stop.is_set():
                break
            try:
                if line is None or not keep:
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
        ways: list[Callable[[Line], object]] = [
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
                line = self.balancer.connect(self.listen)
                with contextlib.suppress(OSError, AssertionError):
                    chance.choice(ways)(line)
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
            for each in self.backends:
                each.forget()

    def steer(self) -> None:
        """Reloads, and wishes."""
        for config, backend in zip(
            itertools.cycle(self.configs), itertools.cycle(self.backends), strict=False
        ):
            self.balancer.reload(config)
            self.reloads += 1
            path = f"/v1/pools/app/backends/{backend.address}"
            self.balancer.api("PATCH", path, {"state": "draining"})
            ended = self.stop.wait(0.3)
            self.balancer.api("PATCH", path, {"state": "enabled"})
            if ended or self.stop.wait(1.7):
                return

    def play(self, seconds: float) -> None:
        """Everything at once, and a line every ten seconds."""
        self.stop.clear()
        jobs = [threading.Thread(target=job) for job in (self.misbehave, self.steer)]
        asking = [
            threading.Thread(target=self.ask, kwargs={"keep": bool(number % 2)})
            for number in range(CLIENTS)
        ]
        leaving = [threading.Thread(target=self.leave, args=(each,)) for each in range(LEAVERS)]
        threads = [*jobs, *asking, *leaving]
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
        """Once nobody is there any more and kept connections have ended: what it holds."""
        with contextlib.suppress(AssertionError):
            wait_for(lambda: (now := self.look()).clients == now.in_flight == 0, 30)
        time.sleep(2 * KEEPALIVE_SECONDS)
        return self.look()

    def look(self) -> Held:
        """What it holds now."""
        return Held.of(self.balancer)

    def run(self, seconds: float) -> tuple[int, str]:
        """The exit code and the report."""
        self.play(min(WARM_SECONDS, seconds / 2))
        before = self.rest()
        warm = self.requests
        started = time.monotonic()
        self.play(seconds)
        took = time.monotonic() - started
        after = self.rest()
        reasons = self.balancer.listener()["reasons"]
        panics = [each for each in self.balancer.events() if each["event"] == "panic"]
        code = self.balancer.stop()
        self.balancer.close()
        for backend in self.backends:
            backend.close()
        lines = [f"error: {error}" for error in self.errors[:10]]
        said = [
            f"{took / 60:.1f} minutes: {self.requests - warm:,} requests",
            f"{len(self.errors)} of them failed",
            f"{self.left:,} clients left in the middle",
            f"{self.faults} faults of a backend, {self.restarts} of them restarts",
            f"{self.reloads} reloads",
        ]
        lines += [
            "; ".join(said) + ".",
            f"Reasons counted: {reasons or 'none'}; panics: {len(panics)}; exit code {code}.",
            "",
            "| nobody there | before | after |",
            "|---|---|---|",
            f"| open files | {before.files} | {after.files} |",
            f"| resident memory, KiB | {before.resident_kib:,} | {after.resident_kib:,} |",
            f"| threads | {before.threads} | {after.threads} |",
            f"| client connections | {before.clients} | {after.clients} |",
            f"| in flight to backends | {before.in_flight} | {after.in_flight} |",
        ]
        grown = (after.resident_kib - before.resident_kib) << 10
        # Probes come and go: a look may find one of each backend.
        left = after.files - before.files > len(self.backends)
        held = (after.clients, after.in_flight) != (0, 0)
        bad = self.errors or panics or grown > GROWTH_MAX or left or held or code != 0
        return int(bool(bad)), "\n".join(lines)


def main() -> int:
    """Soak for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--rate", type=float, default=800, help="requests a second, about")
    parser.add_argument("--out", type=Path, help="write the report there, too")
    asked = parser.parse_args()
    code, report = Soak(asked.rate).run(asked.seconds)
    print(report)
    if asked.out:
        version = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        head = (
            f"# Mixed load\n\nBy `tools/soak.py --seconds {asked.seconds:.0f} --rate "
            f"{asked.rate:.0f}`, {dt.datetime.now(tz=dt.UTC).date()}, version {version}, Linux "
            f"{platform.release()}, {os.cpu_count()} processors.\n\n"
        )
        asked.out.write_text(head + report + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
