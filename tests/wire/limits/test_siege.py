"""Under siege: many who hold what they can, while others ask as ever.

The long one is the whole claim (5,000 slow heads, 200 readers of 100 MiB, p99 within twice what it
was); the short one has a tenth of them, and looks at all but the time, which says little beside
other tests.
"""

from __future__ import annotations

import contextlib
import time

import pytest

from harness.backend import listening, response
from harness.balancer import Balancer, loopback, wait_for
from harness.config import site
from harness.line import Line
from harness.siege import Siege

pytestmark = pytest.mark.alone

MIB = 1 << 20
PER_CONNECTION = 4 * 1024
"""What a connection that sends a head or a body slowly may cost."""
PER_READER = 128 * 1024
"""What a slow reader may cost: what is read at once, kept until it is taken, and some more."""


def plays(big: bytes):
    """Answers ``/big`` with ``big``, everything else with a word."""
    whole, word = response(big), response(b"hello")  # made once: 200 copies would be 20 GiB

    def play(line: Line) -> None:
        with contextlib.suppress(OSError):
            while request := line.read_request():
                line.send(whole if request.target == "/big" else word)

    return play


class Visitors:
    """Those who ask as ever, one after the other, and what they saw."""

    def __init__(self, balancer: Balancer, listen: str) -> None:
        self._lines = [balancer.connect(listen) for _ in range(8)]
        self._new = lambda: balancer.connect(listen)
        self.times: list[float] = []
        self.failures: list[object] = []

    def ask(self, count: int) -> None:
        """So many questions, every eighth on a connection of its own."""
        for number in range(count):
            started = time.monotonic()
            try:
                if number % 8:
                    status = self._lines[number % 8].get().status
                else:
                    with self._new() as line:
                        status = line.get().status
                if status != 200:
                    self.failures.append(status)
            except (OSError, AssertionError) as failure:
                self.failures.append(failure)
            self.times.append(time.monotonic() - started)
            time.sleep(0.002)

    def p99(self, since: int) -> float:
        """The slowest but one in a hundred, of those since ``since``."""
        times = sorted(self.times[since:])
        return times[len(times) * 99 // 100]

    def end(self) -> None:
        """They go."""
        for line in self._lines:
            line.close()


def besiege(
    fairlead, backend, *, heads: int, bodies: int, readers: int, size: int, asks: int, patience: int
) -> float:
    """Does so, checks all but the time; how many times p99 was what it had been.

    ``patience`` is the seconds that a head may take.
    """
    # With room in its queue for all who come at once: a connect that finds none is lost for a second.
    listen, one = loopback(), backend(plays(b"x" * size), listening(4_096))
    balancer = fairlead(config=site(listen, one, listener=f'timeouts = {{ head = "{patience}s" }}'))
    visitors = Visitors(balancer, listen)
    visitors.ask(200)
    files, memory = balancer.open_files(), balancer.resident_bytes()
    before = len(visitors.times)
    visitors.ask(asks)
    during = len(visitors.times)

    with contextlib.ExitStack() as stack:
        sieges = {
            kind: stack.enter_context(Siege(kind, listen, count))
            for kind, count in (("head", heads), ("body", bodies), ("reader", readers))
        }
        for siege in sieges.values():
            siege.wait_ready()
        started = time.monotonic()
        while len(visitors.times) < during + asks or time.monotonic() - started < patience + 2:
            visitors.ask(50)
        most = memory + (heads + bodies) * PER_CONNECTION + readers * PER_READER + 16 * MIB
        taken = balancer.resident_bytes()
        assert taken < most
        seen = {kind: siege.seen() for kind, siege in sieges.items()}

        assert seen["head"]["answered"] > 0, "who drips a head is told to go"
        assert seen["reader"]["ended"] == 0, "who takes a kilobyte a second is let be"
        assert balancer.status()["workers"] > 0
    calm, besieged = visitors.p99(before), visitors.p99(during)
    ratio = besieged / calm
    print(f"p99 {calm * 1e3:.1f} ms, under siege {besieged * 1e3:.1f} ms: {ratio:.2f} x")
    print(f"{(taken - memory) / MIB:.1f} MiB more, {(most - memory) / MIB:.1f} allowed; {seen}")
    assert visitors.failures == []
    visitors.end()

    wait_for(lambda: balancer.listener()["connections_active"] == 0, 20)
    wait_for(lambda: balancer.open_files() <= files, 10, lambda: f"{balancer.open_files()}")
    assert balancer.backends()[one.address]["active"] == 0
    wait_for(lambda: balancer.resident_bytes() < memory + 24 * MIB, 20)
    events = balancer.events()
    assert not [each for each in events if each["event"] == "panic"]
    health = [each for each in events if each["event"] == "health"]
    assert len(health) <= 1, f"it is found healthy, once: {health}"
    return ratio


@pytest.mark.timeout(90)
@pytest.mark.slow
def test_five_hundred_who_hold_what_they_can_harm_nobody(fairlead, backend) -> None:
    besiege(
        fairlead, backend, heads=400, bodies=100, readers=20, size=20 * MIB, asks=500, patience=3
    )


@pytest.mark.long
@pytest.mark.timeout(300)
def test_five_thousand_slow_heads_and_two_hundred_slow_readers(fairlead, backend) -> None:
    ratio = besiege(
        fairlead,
        backend,
        heads=5_000,
        bodies=500,
        readers=200,
        size=100 * MIB,
        asks=5_000,
        patience=10,
    )

    assert ratio <= 2
