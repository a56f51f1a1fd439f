"""What samples of one kind of work say: medians, ends, ratios to a rival round by round.

A sample is one run of one balancer under one load, with the round (`rep`) and the run it is of. One
that was taken while others used more than a tenth of the balancer's core, or while the host took as
much of both cores away (steal), is disturbed: it counts only where there are no others. A ratio is made of two samples of the same round; the best rival of
a kind of work is the one with the lowest median; the floor, which is no product, is never one.

Not here: goals and tables (`report`), what is measured again (`rounds`).
"""
from __future__ import annotations

import statistics

MINE = "fairlead"
FLOORS = ("floor", "floor-splice", "floor-uring")
DISTURBED = 0.1
"""Share of the balancer's core that others may use during a sample, and that a virtual machine's host
may take away from it and from the load's core together: what waits for a core that isn't there is
late whoever serves it."""

Samples = list[dict]
ByPeer = dict[str, Samples]
"""All samples of one kind of work, by balancer."""


def is_quiet(sample: dict) -> bool:
    return max(sample.get("other_on_lb_core", 0), sample.get("steal", 0)) <= DISTURBED


def quiet(samples: Samples) -> Samples:
    """Those that weren't disturbed; all, if all were."""
    return [s for s in samples if is_quiet(s)] or samples


def values(samples: Samples, metric: str) -> list[float]:
    """One number of those that count, in order of size."""
    return sorted(s[metric] for s in quiet(samples) if s.get(metric) is not None)


def median(samples: Samples, metric: str) -> float | None:
    found = values(samples, metric)
    return statistics.median(found) if found else None


def summarize(samples: Samples) -> dict:
    """The median of each number, the ends of the cost, and of how many samples they are (`n`)."""
    samples = quiet(samples)
    numbers = {k for s in samples for k, v in s.items()
               if isinstance(v, (int, float)) and not isinstance(v, bool)}
    out = {key: statistics.median([s[key] for s in samples if s.get(key) is not None])
           for key in sorted(numbers)}
    costs = [s["cost"] for s in samples if s.get("cost") is not None]
    if len(costs) > 1:
        out["cost_min"], out["cost_max"] = min(costs), max(costs)
    out["n"] = len(samples)
    return out


def best(by_peer: ByPeer, metric: str) -> str | None:
    """The rival with the lowest median."""
    rivals = {name: median(samples, metric) for name, samples in by_peer.items()
              if name != MINE and name not in FLOORS}
    known = {name: value for name, value in rivals.items() if value}
    return min(known, key=known.__getitem__) if known else None


def round_of(sample: dict) -> tuple[str, int]:
    return sample.get("run", ""), sample.get("rep", 0)


def ratios(by_peer: ByPeer, rival: str, metric: str) -> list[float]:
    """fairlead's number by the rival's, in each round of a run that has both, in order of size."""
    rounds: dict[tuple[str, int], dict[str, float]] = {}
    for name in (MINE, rival):
        for sample in quiet(by_peer.get(name, [])):
            if sample.get(metric):
                rounds.setdefault(round_of(sample), {})[name] = sample[metric]
    return sorted(pair[MINE] / pair[rival] for pair in rounds.values() if len(pair) == 2)


# ---------------------------------------------------------------------------------- for people
def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ends(found: list[float], scale: float = 1.0) -> str:
    """`0.70–0.78`; one number where they are the same."""
    low, high = number(found[0] * scale), number(found[-1] * scale)
    return low if low == high else f"{low}–{high}"


def share(found: list[float]) -> str:
    """A median and its ends: `0.73 (0.70–0.78)`."""
    if not found:
        return "–"
    middle = f"{statistics.median(found):.2f}"
    return middle if len(found) == 1 else f"{middle} ({found[0]:.2f}–{found[-1]:.2f})"
