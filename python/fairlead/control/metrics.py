"""Text for Prometheus: the engine's, and what Python knows beside it.

The engine writes nearly all of it, without Python's lock. Here is added what it can't know: the
version, events by kind, and the process' files, memory and processor time under the names that
every exporter uses for them.

Whoever counts something else in Python adds a `Family` to `families`. Its name has no `fairlead_`
of its own accord and, for a counter, no ``_total``; both dialects are made of it here.

Not here: the engine's families (crates/fairlead-engine/src/metrics.rs), who may read them.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Sample = tuple[tuple[tuple[str, str], ...], float]
"""Labels with their values, and the number."""


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one kind.

    Attributes:
        name: In full, but without ``_total``: ``fairlead_policy_errors``.
        kind: ``counter`` only grows; ``gauge`` comes and goes.
        text: What it is, for people: a sentence without its full stop.
        samples: Its numbers.
    """

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    samples: tuple[Sample, ...]


def wants_openmetrics(accept: str) -> bool:
    """Whether an ``Accept`` header asks for OpenMetrics, as Prometheus itself does.

    >>> wants_openmetrics("application/openmetrics-text;version=1.0.0,text/plain;q=0.5,*/*;q=0.1")
    True
    >>> wants_openmetrics("*/*")
    False
    """
    return "application/openmetrics-text" in accept.lower()


def render(engine: bytes, families: Iterable[Family], *, openmetrics: bool) -> bytes:
    """The whole text.

    Args:
        engine: What the engine says, in the same dialect.
        families: What is added to it.
        openmetrics: Which of the two dialects.

    >>> lost = Family("fairlead_lost", "counter", "Things lost", (((("what", "key"),), 2.0),))
    >>> print(render(b"", [lost], openmetrics=False).decode(), end="")
    # HELP fairlead_lost_total Things lost.
    # TYPE fairlead_lost_total counter
    fairlead_lost_total{what="key"} 2.0
    """
    lines = [line for family in families for line in _lines(family, openmetrics=openmetrics)]
    if openmetrics:
        lines.append("# EOF")
    return engine + "".join(f"{line}\n" for line in lines).encode()


def _lines(family: Family, *, openmetrics: bool) -> Iterator[str]:
    sample = f"{family.name}_total" if family.kind == "counter" else family.name
    name = family.name if openmetrics else sample
    yield f"# HELP {name} {family.text}."
    yield f"# TYPE {name} {family.kind}"
    for labels, value in family.samples:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        yield f"{sample}{{{pairs}}} {value}" if pairs else f"{sample} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def families(version: str, events: Mapping[str, int]) -> list[Family]:
    """What Python knows.

    Args:
        version: Of this fairlead.
        events: How many of each kind there were.
    """
    counted = tuple(((("event", kind),), float(count)) for kind, count in sorted(events.items()))
    return [
        Family(
            "fairlead_build_info",
            "gauge",
            "Which fairlead this is",
            (((("version", version),), 1.0),),
        ),
        Family("fairlead_events", "counter", "Events so far, by kind", counted),
        *_process(),
    ]


def _process() -> Iterator[Family]:
    """What `ps` would say; what can't be found out is left out."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield _plain("process_cpu_seconds", "counter", "Processor time", used.ru_utime + used.ru_stime)
    yield _plain("process_max_fds", "gauge", "Files that may be open", float(limit))
    try:
        # One of them is that of the listing itself.
        opened = sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return
    memory = float(pages * resource.getpagesize())
    yield _plain("process_open_fds", "gauge", "Files that are open", float(opened))
    yield _plain("process_resident_memory_bytes", "gauge", "Memory in use", memory)


def _plain(name: str, kind: Literal["counter", "gauge"], text: str, value: float) -> Family:
    return Family(name, kind, text, (((), value),))
