"""Traffic, faults, wishes and reloads for a long time, with memory and descriptors watched.

Four backends take turns at failing (refusing, resetting, answering rubbish, answering late) so that
one at least is always well; clients ask all the while over kept and fresh connections; every two
seconds the configuration is reloaded, every three a backend is drained and enabled again.

It ends with exit code 1 if a client saw an error, or if memory or descriptors grew for good.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from harness.backend import Backend, response
from harness.balancer import Balancer, loopback
from harness.config import site

if TYPE_CHECKING:
    from harness.line import Line

WARM_SECONDS = 10.0
GROWTH_MAX = 24 << 20


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
            line.send(response(request.target.encode()))


class Soak:
    """All of it."""

    def __init__(self) -> None:
        self.backends = [Moody() for _ in range(4)]
        self.listen = loopback()
        self.stop = threading.Event()
        self.requests = 0
        self.errors: list[str] = []
        check = 'type = "http", path = "/check", interval = "300ms", timeout = "500ms"'
        self.configs = [
            site(self.listen, *self.backends, check=check, pool=f'policy = "{policy}"')
            for policy in ("round-robin", "least-connections", "peak-ewma", "p2c")
        ]
        self.balancer = Balancer(config=self.configs[0])

    def ask(self, *, keep: bool) -> None:
        """One client, until the end."""
        line = None
        for number in itertools.count():
            if self.stop.is_set():
                return
            try:
                line = line if line and keep else self.balancer.connect(self.listen)
                answer = line.get(f"/{number}")
                if (answer.status, answer.body) != (200, f"/{number}".encode()):
                    self.errors.append(f"{answer.start} {answer.reason} {answer.body[:40]!r}")
            except (OSError, AssertionError) as failure:
                self.errors.append(repr(failure))
                line = None
            self.requests += 1
            time.sleep(0.005)

    def misbehave(self) -> None:
        """One backend after the other has a bad time; never two at once."""
        moods = itertools.cycle(["refuses", "resets", "rubbish", "late"])
        for backend, mood in zip(itertools.cycle(self.backends), moods, strict=False):
            if mood == "refuses":
                backend.refuse()
                backend.cut()
            backend.mood = mood
            if self.stop.wait(1.5):
                return
            backend.mood = "well"
            if mood == "refuses":
                backend.listen_again()
            if self.stop.wait(2.5):
                return
            # What a backend remembers of its connections is this program's memory, not fairlead's.
            backend.lines = [line for line in backend.lines if line.socket.fileno() != -1]

    def steer(self) -> None:
        """Reloads, and wishes."""
        for config, backend in zip(
            itertools.cycle(self.configs), itertools.cycle(self.backends), strict=False
        ):
            self.balancer.reload(config)
            path = f"/v1/pools/app/backends/{backend.address}"
            self.balancer.api("PATCH", path, {"state": "draining"})
            if self.stop.wait(0.3):
                return
            self.balancer.api("PATCH", path, {"state": "enabled"})
            if self.stop.wait(1.7):
                return

    def run(self, seconds: float) -> int:
        """Everything at once, and a line every ten seconds."""
        jobs = [self.misbehave, self.steer]
        clients = [
            threading.Thread(target=self.ask, kwargs={"keep": keep}) for keep in [True, False] * 4
        ]
        threads = [*clients, *(threading.Thread(target=job) for job in jobs)]
        for thread in threads:
            thread.start()
        started = time.monotonic()
        self.stop.wait(min(WARM_SECONDS, seconds / 2))
        memory, files = self.balancer.resident_bytes(), self.balancer.open_files()
        while (passed := time.monotonic() - started) < seconds and not self.errors[20:]:
            self.stop.wait(min(10.0, seconds - passed))
            grown = (self.balancer.resident_bytes() - memory) >> 10
            print(
                f"{passed:6.0f} s  {self.requests} requests, {len(self.errors)} errors, "
                f"{grown:+} KiB, {self.balancer.open_files()} descriptors",
                flush=True,
            )
        self.stop.set()
        for thread in threads:
            thread.join()
        return self.verdict(memory, files)

    def verdict(self, memory: int, files: int) -> int:
        """The report, and the exit code."""
        time.sleep(1)
        grown = self.balancer.resident_bytes() - memory
        left = self.balancer.open_files() - files
        code = self.balancer.stop()
        self.balancer.close()
        for backend in self.backends:
            backend.close()
        for error in self.errors[:10]:
            print(f"error: {error}")
        print(
            f"{self.requests} requests, {len(self.errors)} errors; memory {grown >> 10:+} KiB, "
            f"descriptors {left:+}, exit code {code}"
        )
        return int(bool(self.errors) or grown > GROWTH_MAX or left > 50 or code != 0)


def main() -> int:
    """Soak for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    return Soak().run(parser.parse_args().seconds)


if __name__ == "__main__":
    sys.exit(main())
