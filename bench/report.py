"""What the samples of bench.py say: medians, ratios to the rivals, spread; as tables and as a drawing.

A ratio is made round by round, of two samples that were taken one after the other, and its median
and its ends are shown: what disturbed a round disturbed both. The best rival of a kind of work is
the one with the lowest median; the floor, which is no product, is never one.

Not here: how samples are taken (`bench`), how rivals are set up (`peers`).
"""
from __future__ import annotations

import statistics
from dataclasses import dataclass
from xml.sax.saxutils import escape

from readme import written

MINE = "fairlead"
FLOORS = ("floor", "floor-splice", "floor-uring")


@dataclass(frozen=True)
class Goal:
    """One line of the promise: a number of one kind of work, and what it may be."""

    work: str
    scenario: str
    metric: str = "cost"
    # Rival to limit; `best` is whoever is best in this run, an empty name an absolute limit.
    limits: tuple[tuple[str, float], ...] = (("best", 1.0),)
    unit: str = "µs/request"
    scale: float = 1.0
    # What holds it up; shown where the goal is missed, or somebody does it for less.
    why: str = ""


KERNEL = ("Nearly all of it is the kernel's TCP: fairlead's own code is a twentieth, "
          "so that what is left to save is system calls.")
RELAY = ("A relay without any features (`floor`) needs about as much: whoever copies bytes between two sockets pays for two "
         "receives and two sends.")
SPLICE = ("Bytes are moved by splice, as HAProxy does when told to; a relay that does nothing else (`floor-splice`) "
          "costs about 0.7 of that, so half of the best rival is out of reach where HAProxy splices.")

KEPT = ("A relay without any features (`floor`) is the least that two receives and two sends cost, and most of it. io_uring would "
        "save a tenth where a core is full, and nothing at 8,000/s (docs/design/009).")
MIDDLE = "In other runs on the machine of the published one it was a few percent less."
TAIL = "What the machine does beside is more than what balancers differ by: see the ends of the ratio."

BOTH = (("nginx", 0.85), ("haproxy", 0.80))
GOALS = (
    Goal("http, kept connections, saturated, 100 B", "http_keepalive_100", limits=(("best", 0.75),), why=KEPT),
    Goal("http, kept connections, saturated, 1 KiB", "http_keepalive_1k", limits=(("best", 0.75),), why=KEPT),
    Goal("http, kept connections, 8,000/s, 100 B", "http_keepalive_100_rate", limits=BOTH, why=KEPT),
    Goal("http, kept connections, 8,000/s, 1 KiB", "http_keepalive_1k_rate", limits=BOTH, why=KEPT),
    Goal("http, a client connection per request", "http_newconn", limits=(("nginx", 0.9),), why=KERNEL),
    Goal("http, latency p50 at 8,000/s", "http_keepalive_100_rate", "p50_us", unit="ms", scale=1e-3, why=MIDDLE),
    Goal("http, latency p99 at 8,000/s", "http_keepalive_100_rate", "p99_us", unit="ms", scale=1e-3, why=TAIL),
    Goal("tcp, small messages, saturated", "tcp_small", why=RELAY),
    Goal("tcp, small messages, 8,000/s", "tcp_small_rate", why=RELAY),
    Goal("tcp, a client connection per message", "tcp_newconn", limits=(("pen", 1.0),), why=f"{KERNEL} "
         "nginx closes both ends at the first FIN, and never half-closes; fairlead passes the FIN on and waits for the other."),
    Goal("tcp, bulk", "tcp_bulk_1", limits=(("best", 0.5),), unit="s/GiB", why=SPLICE),
    Goal("http, bulk down", "http_bulk_4", limits=(("best", 0.8),), unit="s/GiB"),
    Goal("http, bulk up", "http_upload_64m", limits=(("best", 0.8),), unit="s/GiB"),
    Goal("memory of an idle client connection", "idle_http", limits=(("", 1.0),), unit="KiB"),
    Goal("1,000 services: memory", "many_services", limits=(("", 60.0),), unit="MiB"),
    Goal("1,000 services: idle CPU", "many_services", "idle_cpu_percent", (("", 3.0),), "% of a core"),
    # 1 / 0.9: twice the processors and 0.9 of what each did alone are 1.8 times the throughput.
    Goal("two workers: CPU per request, times one worker's", "two_workers", "ratio", (("", 1.11),), "×"),
    Goal("two workers: backend connections per 1,000 requests", "two_workers", "opened_two", (("", 1.0),), "opened"),
)


def quiet(samples: list[dict]) -> list[dict]:
    """Samples; those taken while others used more than a tenth of the balancer's core count only
    when there are no others.
    """
    return [s for s in samples if s.get("other_on_lb_core", 0) <= 0.1] or samples


def median(samples: list[dict], metric: str) -> float | None:
    values = [s[metric] for s in quiet(samples) if s.get(metric) is not None]
    return statistics.median(values) if values else None


def summarize(samples: list[dict]) -> dict:
    """The median of each number, and the ends of the cost."""
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


def best(by_peer: dict[str, list[dict]], metric: str) -> str | None:
    """The rival with the lowest median."""
    rivals = {name: median(samples, metric) for name, samples in by_peer.items()
              if name != MINE and name not in FLOORS}
    known = {name: value for name, value in rivals.items() if value}
    return min(known, key=known.__getitem__) if known else None


def ratios(by_peer: dict[str, list[dict]], rival: str, metric: str) -> list[float]:
    """fairlead's number by the rival's, in each round of a run that has both, sorted."""
    rounds: dict[tuple[str, int], dict[str, float]] = {}
    for name in (MINE, rival):
        for sample in quiet(by_peer.get(name, [])):
            if sample.get(metric):
                which = sample.get("run", ""), sample.get("rep", 0)
                rounds.setdefault(which, {})[name] = sample[metric]
    return sorted(pair[MINE] / pair[rival] for pair in rounds.values() if len(pair) == 2)


def share(values: list[float]) -> str:
    """A median and its ends: `0.73 (0.70–0.78)`."""
    if not values:
        return "–"
    middle = f"{statistics.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({values[0]:.2f}–{values[-1]:.2f})"


def rows(results: dict) -> list[tuple[Goal, str, float, str, list[float], float, bool]]:
    """Each goal that was measured: goal, rival, its limit, what is shown of fairlead and of the
    rival, the ratios (or the number itself), and whether it is kept.
    """
    out = []
    for goal in GOALS:
        by_peer = results.get(goal.scenario, {})
        mine = median(by_peer.get(MINE, []), goal.metric)
        if mine is None:
            continue
        for wanted, limit in goal.limits:
            if not wanted:
                rival = best(by_peer, goal.metric) or ""
                values = sorted(s[goal.metric] for s in quiet(by_peer[MINE]))
                out.append((goal, rival, limit, "", values, mine * goal.scale, mine <= limit))
                continue
            rival = best(by_peer, goal.metric) if wanted == "best" else wanted
            values = ratios(by_peer, rival, goal.metric) if rival else []
            if rival and values:
                kept = statistics.median(values) <= limit
                out.append((goal, rival, limit, wanted, values, mine * goal.scale, kept))
    return out


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def promises(results: dict) -> list[str]:
    """fairlead beside its goals."""
    out = ["| work | fairlead | rival | ratio, median (ends) | goal | kept |",
           "|---|---|---|---|---|---|"]
    for goal, rival, limit, wanted, values, mine, kept in rows(results):
        theirs = median(results[goal.scenario].get(rival, []), goal.metric) if rival else None
        beside = f"{rival} {number(theirs * goal.scale)}" if theirs is not None else "–"
        if wanted:
            named = "best" if wanted == "best" else wanted
            ratio, aim = share(values), f"≤ {limit:g} × {named}"
        else:
            ratio, aim = "", f"≤ {limit:g} {goal.unit}"
        out.append(f"| {goal.work} | {number(mine)} {goal.unit} | {beside} | {ratio} | {aim} | "
                   f"{'yes' if kept else '**no**'} |")
    return out


def lost(results: dict) -> list[str]:
    """Where fairlead loses, and why: goals that are missed, and work that a rival does for less."""
    out, whys = [], set()
    for goal, rival, limit, wanted, values, mine, kept in rows(results):
        first = best(results[goal.scenario], goal.metric)
        theirs = median(results[goal.scenario].get(first, []), goal.metric) if first else None
        # Of several limits of one goal, a rival that does it for less is told once.
        beaten = theirs is not None and mine > theirs * goal.scale and goal.limits[0] == (wanted, limit)
        if kept and not beaten:
            continue
        said = []
        if not kept:
            is_at = f"{statistics.median(values):.2f} × {rival}" if wanted else f"{number(mine)} {goal.unit}"
            said.append(f"{is_at}, where {limit:g} is the goal")
        if beaten:
            said.append(f"{first} needs {number(theirs * goal.scale)} {goal.unit}, fairlead {number(mine)}")
        # A reason is told once.
        out.append(f"- {goal.work}: {'; '.join(said)}. {goal.why if goal.why not in whys else ''}".rstrip())
        whys.add(goal.why)
    return out


# ------------------------------------------------------------------------------------ all numbers
def table(results: dict, units: dict[str, str]) -> str:
    """Every kind of work with every balancer. `units` has the unit of each kind's cost."""
    lines = []
    for name, by_peer in results.items():
        shown = {peer: summarize(samples) for peer, samples in by_peer.items() if samples}
        lines.append(f"\n### {name}\n")
        if name.startswith("idle"):
            lines += ["| balancer | KiB/connection | RSS MiB before | after | idle CPU % | connected | errors |", "|---|---|---|---|---|---|---|"]
            for peer, r in sorted(shown.items(), key=lambda x: x[1]["cost"]):
                lines.append(f"| {peer} | {r['kib_per_connection']:.2f} | {r['rss_before_mib']:.1f} | {r['rss_after_mib']:.1f} | {r['idle_cpu_percent']:.2f} | {r['ready']:.0f} | {r['errors']:.0f} |")
        elif name == "many_services":
            lines += ["| balancer | processes | RSS MiB | idle CPU % of a core | start s |", "|---|---|---|---|---|"]
            for peer, r in sorted(shown.items(), key=lambda x: x[1]["cost"]):
                what = f"{r['processes']:.0f}" + (f" → {r['extrapolated_to']:.0f}" if "extrapolated_to" in r else "")
                lines.append(f"| {peer} | {what} | {r['rss_mib']:.0f} | {r['idle_cpu_percent']:.1f} | {r['start_s']:.1f} |")
        elif name == "two_workers":
            lines += ["| balancer | CPU us/req, one worker | two | two / one | opened in 1,000 requests, one worker | two |", "|---|---|---|---|---|---|"]
            for peer, r in shown.items():
                lines.append(f"| {peer} | {r['cost_one']:.3g} | {r['cost']:.3g} | {r['ratio']:.2f} | {r['opened_one']:.2f} | {r['opened_two']:.2f} |")
        else:
            lines += loaded(by_peer, shown, units.get(name, ""))
    return "\n".join(lines)


def loaded(by_peer: dict[str, list[dict]], shown: dict[str, dict], unit: str) -> list[str]:
    """The rows of one kind of work under load."""
    first = best(by_peer, "cost")
    lowest = shown[first]["cost"] if first else None
    out = [f"| balancer | CPU {unit} | (min–max) | to the best rival | user share | req/s | p50 ms | p99 ms | p99.9 ms | its core busy | errors |",
           "|---|---|---|---|---|---|---|---|---|---|---|"]

    def of(row: dict, key: str, scale: float = 1000, digits: int = 2) -> str:
        return f"{row[key] / scale:.{digits}f}" if key in row else "–"

    for peer, r in sorted(shown.items(), key=lambda x: x[1].get("cost", 1e9)):
        if "cost" not in r:
            continue
        speed = of(r, "rps", 1, 0) if unit == "us/req" else of(r, "mib_s", 1, 0) + " MiB/s"
        ratio = f"{r['cost'] / lowest:.2f}" if lowest else "–"
        out.append(f"| {peer} | {r['cost']:.3g} | {r.get('cost_min', r['cost']):.3g}–{r.get('cost_max', r['cost']):.3g} | {ratio} | "
                   f"{of(r, 'user_share', 1)} | {speed} | {of(r, 'p50_us')} | {of(r, 'p99_us')} | {of(r, 'p999_us')} | "
                   f"{of(r, 'lb_core_share', 1)} | {of(r, 'errors', 1, 0)} |")
    return out


def page(data: dict, units: dict[str, str]) -> str:
    """The whole of a run, for people."""
    run, results = data["runs"][-1], data["results"]
    versions = "; ".join(f"{name}: {said}" for name, said in run["versions"].items())
    out = [f"# Cost beside the rivals, {run['date']}", "",
           f"{run['cpus']} × {run['cpu']}, Linux {run['kernel']}. {versions}.", "",
           f"`{run.get('command', 'bench/bench.py')}`: {run['reps']} interleaved rounds of {run['seconds']:g} s each; "
           "each balancer with one worker on a core of its own, load and origin on the other, loopback. "
           "CPU is the balancer's own (all threads and children). Medians; ratios are made round by round, with their ends in brackets.", "",
           "## fairlead beside its goals", "", *promises(results), "",
           "## Where it loses, and why", "", *(lost(results) or ["Nowhere: all goals are kept, and no rival does any of it for less."]), "",
           "## All numbers", table(results, units), ""]
    return "\n".join(out)


# ----------------------------------------------------------------------------------- for the README
BEFORE = "## What works today\n"
MARKS = ("<!-- bench: written by bench/bench.py --publish -->", "<!-- /bench -->")


def published(page: str, data: dict, name: str) -> str:
    """The page with what this run says of the costs."""
    run = data["runs"][-1]
    said = "\n".join(lost(data["results"])) or "Nowhere: all goals are kept, and no rival does any of it for less."
    inside = f"""
## What it costs

CPU, latency and memory beside others in the same run, by `make bench`: medians of {run["reps"]} interleaved rounds, one worker on a core of its own, fairlead with its defaults.
Ratios are made round by round; in brackets their ends.

![CPU of the balancer by kind of work](bench/results/{name}.svg)

{chr(10).join(promises(data["results"]))}

Where it loses, and why:

{said}

Versions, commands and all numbers: [bench/results/{name}.md](bench/results/{name}.md).

"""
    return written(page, MARKS, inside, BEFORE)


# ----------------------------------------------------------------------------------------- the drawing
INK, GRID, BAR, OWN, FLOOR, AIM = "#24292f", "#d0d7de", "#9aa4b1", "#1a7f4b", "#e3e6ea", "#c4432b"


def drawing(data: dict) -> str:
    """One panel per goal, one bar per balancer, with the ends of its samples. SVG."""
    results = data["results"]
    goals = {goal.work: (goal, limit, rival) for goal, rival, limit, *_ in rows(results)}
    panels = []
    for goal, _, _ in goals.values():
        found = {peer: [s[goal.metric] * goal.scale for s in quiet(samples) if s.get(goal.metric)]
                 for peer, samples in results[goal.scenario].items()}
        bars = sorted(((statistics.median(v), min(v), max(v), peer) for peer, v in found.items() if v))
        panels.append((goal, bars))
    wide, row_high, columns = 350, 16, 3
    high = 48 + row_high * max((len(bars) for _, bars in panels), default=0)
    lines = -(-len(panels) // columns)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide * columns + 20} {high * lines + 60}" '
           'font-family="system-ui, sans-serif" font-size="10">',
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           f'<text x="10" y="22" font-size="15" fill="{INK}">What the same work costs: shorter is better</text>',
           f'<text x="10" y="40" fill="{INK}">medians; the thin line spans all rounds; the red mark is fairlead\u2019s goal; '
           "the floor only moves bytes and is no product</text>"]
    for place, (goal, bars) in enumerate(panels):
        x, y = 10 + place % columns * wide, 55 + place // columns * high
        out.append(panel(x, y, wide, goal, bars, aim(goal, results), row_high))
    return "\n".join([*out, "</svg>", ""])


def aim(goal: Goal, results: dict) -> float:
    """What the goal comes to in this run, in the unit that is shown: the strictest of its limits."""
    by_peer = results[goal.scenario]
    found = []
    for wanted, limit in goal.limits:
        if not wanted:
            found.append(limit)
            continue
        rival = best(by_peer, goal.metric) if wanted == "best" else wanted
        theirs = median(by_peer.get(rival, []), goal.metric) if rival else None
        if theirs is not None:
            found.append(theirs * limit * goal.scale)
    return min(found, default=0.0)


def panel(x: float, y: float, wide: float, goal: Goal, bars: list[tuple[float, float, float, str]],
          wanted: float, row_high: int) -> str:
    most = max([top for _, _, top, _ in bars] + [wanted], default=1) or 1
    room = wide - 210
    out = [f'<g transform="translate({x} {y})"><text y="12" font-weight="600" font-size="11" fill="{INK}">'
           f"{escape(goal.work)}, {escape(goal.unit)}</text>",
           f'<line x1="98" y1="18" x2="98" y2="{22 + row_high * len(bars)}" stroke="{GRID}"/>']
    for place, (middle, low, top, peer) in enumerate(bars):
        at, own = 20 + place * row_high, peer == MINE
        weight = ' font-weight="700"' if own else ""
        color = OWN if own else FLOOR if peer in FLOORS else BAR
        out.append(f'<text x="92" y="{at + 11}" text-anchor="end" fill="{OWN if own else INK}"{weight}>{escape(peer)}</text>'
                   f'<rect x="98" y="{at + 2}" width="{middle / most * room:.1f}" height="{row_high - 4}" fill="{color}"/>'
                   f'<line x1="{98 + low / most * room:.1f}" x2="{98 + top / most * room:.1f}" y1="{at + row_high / 2:.1f}" '
                   f'y2="{at + row_high / 2:.1f}" stroke="{INK}"/>'
                   f'<text x="{98 + max(top, middle) / most * room + 5:.1f}" y="{at + 11}" fill="{INK}"{weight}>{number(middle)}</text>')
    mark = 98 + wanted / most * room
    out.append(f'<line x1="{mark:.1f}" x2="{mark:.1f}" y1="18" y2="{22 + row_high * len(bars)}" stroke="{AIM}" stroke-dasharray="3 2"/></g>')
    return "".join(out)
