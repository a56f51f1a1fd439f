"""What fairlead holds at one time of a soak, and whether it has come back to where it began."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from harness.balancer import Balancer

GROWTH_MAX = 4 << 20
"""Bytes. What an allocator holds of what was freed differs by 1 to 2 MiB from look to look."""


class Held(NamedTuple):
    """What fairlead holds at one time."""

    files: int
    resident_kib: int
    threads: Counter[str]
    """By their names."""
    clients: int
    in_flight: int

    @classmethod
    def of(cls, balancer: Balancer) -> Held:
        """As it is now."""
        # First, as the API answers in a thread of its own, which may still be there for a moment.
        threads = threads_of(balancer.process.pid)
        status = balancer.status()
        backends = [each for pool in status["pools"] for each in pool["backends"]]
        return cls(
            files=balancer.open_files(),
            resident_kib=balancer.resident_bytes() >> 10,
            threads=threads,
            clients=sum(each["connections_active"] for each in status["listeners"]),
            in_flight=sum(each["active"] for each in backends),
        )


def threads_of(pid: int) -> Counter[str]:
    """A process's threads, by their names."""
    found: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            found[(task / "comm").read_text().strip()] += 1
    return found


def table(before: Held, after: Held) -> list[str]:
    """What was held, and is."""
    return [
        "| nobody there | before | after |",
        "|---|---|---|",
        f"| open files | {before.files} | {after.files} |",
        f"| resident memory, KiB | {before.resident_kib:,} | {after.resident_kib:,} |",
        f"| threads | {names(before.threads)} | {names(after.threads)} |",
        f"| client connections | {before.clients} | {after.clients} |",
        f"| in flight to backends | {before.in_flight} | {after.in_flight} |",
    ]


def names(threads: Counter[str]) -> str:
    """How many there are, and of which names."""
    each = ", ".join(name if n == 1 else f"{n} {name}" for name, n in sorted(threads.items()))
    return f"{threads.total()}: {each}"


def what_grew(before: Held, after: Held, probed: int) -> list[str]:
    """What has not come back to where it began: a line for each. So many backends have checks."""
    lines = []
    if (grown := after.resident_kib - before.resident_kib) << 10 > GROWTH_MAX:
        lines.append(f"memory has grown by {grown:,} KiB")
    # Probes come and go: a look may find one of each backend.
    if (more := after.files - before.files) > probed:
        lines.append(f"{more} more files are open")
    if threads := after.threads - before.threads:
        lines.append(f"threads have come: {', '.join(threads.elements())}")
    return lines
