"""One experiment: a balancer, hosts, clients, a fault; and what the clients noticed."""
from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import rivals
from faults import Fault
from lab import ADDRESS, PORT, Lab

SLOW_MS = 250
TICK = 0.25
"""Seconds of a step of the course that is kept for plots."""


@dataclass(frozen=True)
class Shape:
    """What the clients do, and before which groups of hosts."""

    name: str
    text: str
    rate: float = 100
    method: str = "GET"
    bodies: str = "0"
    kept: bool = False
    groups: tuple[str, ...] | None = None
    """None: as the fault has them, in one group."""
    alone: bool = False
    """It is heavy, and is run with nothing beside it."""
    tcp: bool = False
    """It asks something of tcp that plain load doesn't, where fairlead can't see requests."""
    reps: int = 1
    """How often fairlead goes through it in a whole run."""


SHAPES = {shape.name: shape for shape in [
    Shape("plain", "100 GETs a second, each on a new connection", tcp=True, reps=3),
    Shape("kept", "clients keep their connections", kept=True, reps=3),
    Shape("rate20", "20 requests a second", rate=20, tcp=True),
    Shape("rate2000", "2,000 requests a second on kept connections", rate=2000, kept=True,
          alone=True),
    Shape("groups", "three hosts in two groups, the first being B alone", groups=("B", "AC"),
          tcp=True),
    Shape("spare", "three hosts in two groups, the second being C alone", groups=("AB", "C"),
          tcp=True),
    Shape("put", "PUTs with bodies up to 64 KiB", method="PUT", bodies="0,100,1000,16384,65536",
          reps=3),
    Shape("delete", "DELETEs with bodies up to 64 KiB", method="DELETE",
          bodies="0,0,1000,16384,65536", reps=3),
    Shape("post", "POSTs with bodies up to 64 KiB, each to be executed at most once",
          method="POST", bodies="10,1000,16384,65536", reps=3),
]}


@dataclass(frozen=True)
class Cell:
    """What is measured: who, with which settings, under which fault and load."""

    peer: str
    tuned: bool
    fault: Fault
    shape: Shape = SHAPES["plain"]

    @property
    def seconds(self) -> float:
        """How long the fault lasts, unless told otherwise."""
        return self.fault.seconds if self.shape.name == "plain" else 8

    @property
    def config(self) -> str:
        return "default" if self.peer.startswith("fairlead") else (
            "tuned" if self.tuned else "sensible")


@dataclass(frozen=True)
class Times:
    before: float
    fault: float | None
    """None: as the fault has it."""
    after: float
    patience: float = 1


@dataclass
class Row:
    due: float
    took_ms: float
    status: int
    backend: str
    id: int
    late_ms: float
    why: str

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def trouble(self) -> bool:
        return not self.ok or self.took_ms > SLOW_MS


@dataclass
class Seen:
    """All rows of an experiment and its three moments."""

    begin: float
    fault: float
    end: float
    rows: list[Row] = field(default_factory=list)
    reference: list[Row] = field(default_factory=list)
    executed: dict[str, list[str]] = field(default_factory=dict)


def run(cell: Cell, times: Times, work: Path, added: dict[str, str], place: int) -> dict:
    """Run it; `place` numbers what runs side by side (balance keeps a file for each port)."""
    tag = f"{place}x{os.getpid()}"
    fault, shape = cell.fault, cell.shape
    groups = shape.groups or (fault.hosts,)
    site = rivals.Site(8080 + place, tag, work, groups, fault.named)
    command = rivals.command(cell.peer, cell.tuned, site, added)
    assert command is not None, cell
    with Lab(tag, work) as lab:
        if fault.named:
            lab.name_server()
            wait_for(lambda: lab.name_is("B"), 5)
        if fault.backlog:
            lab["B"].sysctl(f"net.core.somaxconn={fault.backlog}")
        for host in lab.hosts.values():
            host.start()
        for host in lab.hosts.values():
            wait_for(lambda host=host: host.turn("well"), 10)
        seen = traffic(cell, times, lab, site, command)
        seen.executed = {name: read(host.executed) for name, host in lab.hosts.items()}
    return measures(seen, times, cell)


def traffic(cell: Cell, times: Times, lab: Lab, site: rivals.Site, command: list[str]) -> Seen:
    """Start the balancer, then the clients, and play the fault meanwhile."""
    work, fault, shape = lab.work, cell.fault, cell.shape
    length = cell.seconds if times.fault is None else times.fault
    log = work / f"{site.tag}.log"
    homes = {"HOME": "/bench", "XDG_DATA_HOME": "/bench/data", "XDG_CONFIG_HOME": "/bench/config"}
    if cell.peer.startswith("fairlead"):
        homes = {"XDG_RUNTIME_DIR": str(work)}
    with log.open("wb") as said:
        lab.spawn(lab.here, command, stdout=said, stderr=said, env={**os.environ, **homes})
    # Every peer has its checks of 2 s passed twice before anything happens.
    time.sleep(3 if cell.tuned or cell.peer.startswith("fairlead") else 4.5)
    total = times.before + length + times.after
    out = work / f"{site.tag}.out"
    query = f"?size={fault.answer}" if fault.answer else ""
    with out.open("wb") as file:
        client = lab.spawn(lab.here, [
            str(lab.probe), "client", "-rate", str(shape.rate), "-seconds", str(total),
            "-timeout", f"{times.patience}s", "-method", shape.method, "-bodies", shape.bodies,
            *(["-keep"] if shape.kept else []), "-reference", f"http://{ADDRESS['A']}:{PORT}/",
            f"http://127.0.0.1:{site.port}/{query}"], stdout=file)
    begin = time.time()
    time.sleep(times.before)
    begun = time.time()
    fault.play(lab, lambda after: time.sleep(max(0.0, begun + after - time.time())), length)
    ended = time.time()
    client.wait(total + times.patience + 30)
    seen = Seen(begin, begun, ended)
    for line in out.read_text().splitlines():
        due, took, status, backend, number, late, why = line.split()
        row = Row(float(due), float(took), int(status), backend, int(number), float(late), why)
        (seen.reference if backend == "ref" else seen.rows).append(row)
    seen.rows.sort(key=lambda row: row.due)
    if not seen.rows:
        raise RuntimeError(f"no client's line; the balancer said: {log.read_text()[-500:]}")
    return seen


def measures(seen: Seen, times: Times, cell: Cell) -> dict:
    """What is kept of an experiment."""
    fault, rows = cell.fault, seen.rows
    counted = rows
    if fault.excused:
        # Those that were under way when the last host left can't be answered, nor those until one
        # is noticed to be back; all others can.
        ready = seen.end + (fault.back or 0)
        counted = [row for row in rows
                   if row.due < seen.fault - times.patience or row.due >= ready]
    bad = [row for row in counted if not row.ok]
    slow = [row for row in counted if row.ok and row.took_ms > SLOW_MS]
    before = [row for row in rows if row.due < seen.fault - times.patience]
    during = [row for row in rows if seen.fault <= row.due < seen.end]
    well_from = seen.end if fault.returns == "B" else seen.fault
    back = [row.due + row.took_ms / 1000 for row in rows if row.backend == fault.returns
            and row.due >= well_from and row.ok and row.took_ms < SLOW_MS]
    good = sorted(row.took_ms for row in during if row.ok)
    # Host A is well but where nobody is.
    reference = [row for row in seen.reference if not fault.excused or row.due < seen.fault
                 - times.patience or row.due >= seen.end + times.patience]
    stuck = [row.due for row in reference if row.took_ms > 100]

    def machine(row: Row) -> bool:
        """Whether it was slow because the machine was: the client began late, or a request straight
        to a host that is well was slow in the same moment.
        """
        return row.late_ms > 50 or any(abs(at - row.due) < 0.3 for at in stuck)

    trouble = [row.due for row in counted
               if seen.fault <= row.due < seen.end and (not row.ok or row.trouble and not machine(row))]
    executed = Counter(id for ids in seen.executed.values() for id in ids)
    well = {id for name, ids in seen.executed.items() if name != "B" for id in ids}
    others = rows if fault.excused else []
    return {
        "requests": len(rows), "during": len(during),
        "failed": len(bad), "failed_after": sum(row.due >= seen.end for row in bad),
        "failed_before": sum(row.due < seen.fault - times.patience for row in bad),
        "slow": len(slow), "slow_after": sum(row.due >= seen.end for row in slow),
        "slow_noise": sum(map(machine, slow)), "failed_noise": sum(map(machine, bad)),
        "reference_slow": len(stuck), "reference_failed": sum(not row.ok for row in reference),
        "trouble_s": round(max(trouble, default=seen.fault) - seen.fault, 2),
        "back_s": round(min(back) - well_from, 2) if back else None,
        "share_of_b": round(sum(row.backend == "B" for row in during) / max(1, len(during)), 3),
        "p99_before_ms": quantile(sorted(row.took_ms for row in before), 0.99),
        "p99_ms": quantile(good, 0.99), "max_ms": good[-1] if good else None,
        "whys": dict(Counter(f"{row.status}:{row.why}" for row in bad)),
        "executed": sum(executed.values()), "executed_twice": sum(n > 1 for n in executed.values()),
        "failed_but_executed": sum(executed[str(row.id)] > 0 for row in bad),
        "failed_but_well": sum(str(row.id) in well for row in bad),
        "ok_but_not_executed": sum(executed[str(row.id)] == 0 for row in rows if row.ok),
        "answered_at_once_ms": round(statistics.median(
            [row.took_ms for row in others if not row.ok] or [0]), 1),
        "course": course(seen),
    }


def course(seen: Seen) -> list[list[int]]:
    """Requests by the moment they were due, in steps: step from the fault, failed, slow, all."""
    steps: dict[int, list[int]] = {}
    for row in seen.rows:
        step = steps.setdefault(int((row.due - seen.fault) // TICK), [0, 0, 0])
        step[0] += not row.ok
        step[1] += row.ok and row.took_ms > SLOW_MS
        step[2] += 1
    return [[number, *step] for number, step in sorted(steps.items()) if step[0] or step[1]]


def quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def read(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return path.read_text().split()
    return []


def wait_for(do: object, patience: float) -> None:
    """Until it no longer fails."""
    end = time.monotonic() + patience
    while True:
        try:
            return do()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
