"""A thousand services in one process: what they take, and what changing them all costs."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.backend import Backend, saying
from harness.balancer import loopback, wait_for
from harness.standstill import at_best

if TYPE_CHECKING:
    from harness.balancer import Balancer
    from harness.line import Line

pytestmark = pytest.mark.alone

SERVICES = 1_000
MEBIBYTES = 60
OF_A_CORE = 0.03
"""The part that its checks may take, each 2 s."""
PAUSE_MS = 5.0
"""The longest that a worker may be kept from its clients."""


def services(listen: str, backends: list, weight: int = 1) -> str:
    """So many listeners (the first at `listen`), each before a pool of its own of the same backends,
    all checked.
    """
    rows = ", ".join(f'{{ address = "{each.address}", weight = {weight} }}' for each in backends)
    one = (
        '[listeners.l{0}]\nbind = "{2}"\nprotocol = "http"\npool = "p{0}"\n'
        "[pools.p{0}]\nbackends = [{1}]\n"
    )
    head = 'workers = 2\n[defaults.pools]\ncheck = { type = "http", path = "/", interval = "2s" }\n'
    binds = [listen, *["127.0.0.1:0"] * (SERVICES - 1)]
    return head + "".join(one.format(n, rows, bind) for n, bind in enumerate(binds))


def threads(balancer: Balancer) -> list[Path]:
    """What the kernel tells of each thread."""
    return sorted(Path(f"/proc/{balancer.process.pid}/task").iterdir())


def workers(balancer: Balancer) -> list[Path]:
    """The same, of the two workers."""
    found = [
        each
        for each in threads(balancer)
        if (each / "comm").read_text().strip()[-2:] in ("-0", "-1")
    ]
    assert len(found) == 2
    return found


def milliseconds(thread: Path) -> float:
    """The CPU time of a thread so far."""
    return int((thread / "schedstat").read_text().split()[0]) / 1e6


def worker_milliseconds(balancer: Balancer) -> list[float]:
    """The CPU time of each worker's thread so far."""
    return [milliseconds(each) for each in workers(balancer)]


def wait_for_checks(backends: list[Backend], rounds: int) -> None:
    """Until each backend has been probed so often."""
    wanted = [len(each.requests) + rounds for each in backends]
    wait_for(
        lambda: all(
            len(each.requests) >= count for each, count in zip(backends, wanted, strict=True)
        ),
        20,
    )


class Pulse(threading.Thread):
    """A client that asks again as soon as it was answered. After each answer it looks at how much
    CPU time its worker has had since the last but one: the longest is what anybody can have had to
    wait for that worker on a machine of their own. (The last but one, because a part of what a
    thread that is still running has had is told up to a tick later.)
    """

    def __init__(self, line: Line, worker: Path) -> None:
        super().__init__(daemon=True)
        self._line, self._worker = line, worker
        self._over = threading.Event()
        self.beats, self.longest, self.failures = 0, 0.0, 0

    def run(self) -> None:
        last = [milliseconds(self._worker)] * 2
        while not self._over.is_set():
            self.failures += self._line.get().status != 200
            now = milliseconds(self._worker)
            self.longest = max(self.longest, now - last[0])
            last = [last[1], now]
            self.beats += 1

    def reset(self) -> float:
        """The longest since the last call, once the next answer is there."""
        seen = self.beats
        wait_for(lambda: self.beats > seen + 2)
        longest, self.longest = self.longest, 0.0
        return longest

    def end(self) -> None:
        self._over.set()
        self.join(10)


def lines_of_workers(balancer: Balancer, listen: str) -> list[tuple[Line, Path]]:
    """A client's connection of each worker: the one that computes most while it asks."""
    found: dict[Path, Line] = {}
    while len(found) < 2:
        line = balancer.connect(listen)
        before = {each: milliseconds(each) for each in workers(balancer)}
        for _ in range(100):
            assert line.get().status == 200
        found.setdefault(max(before, key=lambda each: milliseconds(each) - before[each]), line)
    return [(line, worker) for worker, line in found.items()]


def test_a_thousand_services_take_sixty_mebibytes_and_no_pause(fairlead, backend) -> None:
    backends = [backend(saying(b"ok")) for _ in range(4)]
    listen = loopback()
    balancer = fairlead(config=services(listen, backends), fresh=True)

    assert balancer.resident_bytes() < MEBIBYTES << 20

    pauses = []
    for weight in (2, 3, 4, 5):
        before = worker_milliseconds(balancer)
        assert balancer.reload(services(listen, backends, weight))[0] == 200
        after = worker_milliseconds(balancer)
        pauses.append(max(late - early for early, late in zip(before, after, strict=True)))
    # All that a worker did meanwhile, checks included; what else runs on its core makes it more.
    assert min(pauses) < PAUSE_MS, pauses
    assert balancer.connect(listen).get().body == b"ok"


def test_their_checks_take_three_hundredths_of_a_core(fairlead, backend) -> None:
    """4,000 backends at four addresses: what is the same is probed once."""
    backends = [backend(saying(b"ok")) for _ in range(4)]
    balancer = fairlead(config=services(loopback(), backends), fresh=True)
    balancer.wait_all_healthy()

    def measure() -> None:
        before, begun = sum(map(milliseconds, threads(balancer))), time.monotonic()
        wait_for_checks(backends, 2)
        used = (sum(map(milliseconds, threads(balancer))) - before) / 1_000
        took = time.monotonic() - begun
        assert used / took < OF_A_CORE, f"{used:.3f} s of {took:.1f} s"

    at_best(measure)


def test_a_reload_of_a_thousand_pools_keeps_no_client_of_a_worker_waiting(
    fairlead, backend
) -> None:
    backends = [backend(saying(b"ok")) for _ in range(4)]
    listen = loopback()
    balancer = fairlead(config=services(listen, backends), fresh=True)
    pulses = [Pulse(*each) for each in lines_of_workers(balancer, listen)]
    for pulse in pulses:
        pulse.start()

    pauses = []
    for weight in (2, 3, 4, 5, 6):
        for pulse in pulses:
            pulse.reset()
        assert balancer.reload(services(listen, backends, weight))[0] == 200
        pauses.append(max(pulse.reset() for pulse in pulses))
    for pulse in pulses:
        pulse.end()
    assert min(pauses) < PAUSE_MS, pauses
    assert sum(pulse.failures for pulse in pulses) == 0
