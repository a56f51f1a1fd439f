"""What the samples of bench.py say: medians, ratios to the rivals, spread; as tables and as a drawing.

Here are the goals, and what is shown of them in the page of a run and in the README.

Not here: how samples are taken (`bench`), what they say (`samples`), why a goal is missed (`reasons`).
"""
from __future__ import annotations

import statistics
from dataclasses import dataclass
from xml.sax.saxutils import escape

from readme import written
from reasons import YARDSTICK, Reason, Row, beside_floor, latency, own_code, services, together
from samples import (
    FLOORS, MINE, best, ends, median, number, quiet, ratios, share, summarize, values)


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
    # Shown where the goal is missed, or somebody does it for less.
    why: Reason = own_code


SMALL = together(beside_floor("floor"), own_code)
SPLICE = beside_floor("floor-splice")
NEW = together(own_code, "Nearly all of it is connections being opened, accepted and closed.")
NEW_TCP = together(NEW, "nginx closes both ends at the first FIN, and never half-closes; fairlead passes the FIN on and "
                   "waits for the other.")
IDLE = together("Nothing but its entry in the tables of connections, timers and numbers is kept of a client that waits.")
CHECKS = together("Each of its backends is looked at every 2 s, equal ones together over kept connections: it is those and timers.")
WORKERS = together("The second worker shares its core with the load and the origin (there are but two), which push what it "
                   "needs out of the caches: that is counted as its own.")
KEPT = together("Each worker keeps connections of its own, so that one may open what another has idle.")

BOTH = (("nginx", 0.85), ("haproxy", 0.80))
GOALS = (
    Goal("http, kept connections, saturated, 100 B", "http_keepalive_100", limits=(("best", 0.75),), why=SMALL),
    Goal("http, kept connections, saturated, 1 KiB", "http_keepalive_1k", limits=(("best", 0.75),), why=SMALL),
    Goal("http, kept connections, 8,000/s, 100 B", "http_keepalive_100_rate", limits=BOTH, why=SMALL),
    Goal("http, kept connections, 8,000/s, 1 KiB", "http_keepalive_1k_rate", limits=BOTH, why=SMALL),
    Goal("http, a client connection per request", "http_newconn", limits=(("nginx", 0.9),), why=NEW),
    Goal("http, latency p50 at 8,000/s", "http_keepalive_100_rate", "p50_us", unit="ms", scale=1e-3, why=latency),
    Goal("http, latency p99 at 8,000/s", "http_keepalive_100_rate", "p99_us", unit="ms", scale=1e-3, why=latency),
    Goal("tcp, small messages, saturated", "tcp_small", why=SMALL),
    Goal("tcp, small messages, 8,000/s", "tcp_small_rate", why=SMALL),
    Goal("tcp, a client connection per message", "tcp_newconn", limits=(("pen", 1.0),), why=NEW_TCP),
    Goal("tcp, bulk", "tcp_bulk_1", limits=(("best", 0.5),), unit="s/GiB", why=SPLICE),
    Goal("http, bulk down", "http_bulk_4", limits=(("best", 0.8),), unit="s/GiB", why=SPLICE),
    Goal("http, bulk up", "http_upload_64m", limits=(("best", 0.8),), unit="s/GiB", why=SPLICE),
    Goal("memory of an idle client connection", "idle_http", limits=(("", 1.0),), unit="KiB", why=IDLE),
    Goal("1,000 services: memory", "many_services", limits=(("", 60.0),), unit="MiB", why=services),
    Goal("1,000 services: idle CPU", "many_services", "idle_cpu_percent", (("", 3.0),), "% of a core", why=CHECKS),
    # 1 / 0.9: twice the processors and 0.9 of what each did alone are 1.8 times the throughput.
    Goal("two workers: CPU per request, times one worker's", "two_workers", "ratio", (("", 1.11),), "×", why=WORKERS),
    Goal("two workers: backend connections per 1,000 requests", "two_workers", "opened_two", (("", 1.0),), "opened", why=KEPT),
)


@dataclass(frozen=True)
class Verdict:
    """One limit of a goal in a run, and whether it is kept."""

    goal: Goal
    wanted: str
    row: Row
    kept: bool


def verdicts(results: dict) -> list[Verdict]:
    """Each limit of each goal that was measured."""
    out = []
    for goal in GOALS:
        by_peer = results.get(goal.scenario, {})
        mine = median(by_peer.get(MINE, []), goal.metric)
        if mine is None:
            continue
        for wanted, limit in goal.limits:
            rival = wanted if wanted not in ("", "best") else best(by_peer, goal.metric) or ""
            theirs = median(by_peer.get(rival, []), goal.metric)
            found = ratios(by_peer, rival, goal.metric) if wanted else values(by_peer[MINE], goal.metric)
            if not found:
                continue
            row = Row(results, goal.scenario, goal.metric, goal.unit, goal.scale, limit, mine * goal.scale, rival,
                      None if theirs is None else theirs * goal.scale, bool(wanted), found)
            out.append(Verdict(goal, wanted, row, statistics.median(found) <= limit))
    return out


def promises(results: dict) -> list[str]:
    """fairlead beside its goals."""
    out = ["| work | fairlead | rival | ratio, median (ends) | of rounds | goal | kept |",
           "|---|---|---|---|---|---|---|"]
    for verdict in verdicts(results):
        goal, row = verdict.goal, verdict.row
        beside = f"{row.rival} {number(row.theirs)}" if row.theirs is not None else "–"
        own = f"{number(row.mine)} {goal.unit}"
        ratio, aim = "", f"≤ {row.limit:g} {goal.unit}"
        if row.relative:
            ratio, aim = share(row.found), f"≤ {row.limit:g} × {verdict.wanted}"
        elif len(row.found) > 1:
            own += f" ({ends(row.found, goal.scale)})"
        out.append(f"| {goal.work} | {own} | {beside} | {ratio} | {len(row.found)} | {aim} | "
                   f"{'yes' if verdict.kept else '**no**'} |")
    return out


def lost(results: dict) -> list[str]:
    """Where fairlead loses, and why: goals that are missed, and work that a rival does for less."""
    out = []
    for verdict in verdicts(results):
        goal, row = verdict.goal, verdict.row
        first = best(results[goal.scenario], goal.metric)
        theirs = row.of(first) if first else None
        # Of several limits of one goal, a rival that does it for less is told once.
        beaten = theirs is not None and row.mine > theirs and goal.limits[0] == (verdict.wanted, row.limit)
        if verdict.kept and not beaten:
            continue
        said = []
        if not verdict.kept:
            is_at = f"{statistics.median(row.found):.2f} × {row.rival}" if row.relative else f"{number(row.mine)} {goal.unit}"
            said.append(f"{is_at}, where {row.limit:g} is the goal")
        if beaten:
            said.append(f"{first} needs {number(theirs)} {goal.unit}, fairlead {number(row.mine)}")
        out.append(f"- {goal.work}: {'; '.join(said)}. {' '.join(filter(None, (goal.why(row), at_times(verdict))))}")
    return out


def losses(results: dict) -> str:
    """The same with what its reasons measure by."""
    found = "\n".join(lost(results))
    return f"{YARDSTICK}\n\n{found}" if found else "Nowhere: all goals are kept, and no rival does any of it for less."


def at_times(verdict: Verdict) -> str:
    """Of a missed goal: in how many rounds it was kept."""
    kept = sum(each <= verdict.row.limit for each in verdict.row.found)
    if verdict.kept or not kept:
        return ""
    return f"In {kept} of {len(verdict.row.found)} rounds the goal was kept."


# ------------------------------------------------------------------------------------ all numbers
def table(results: dict, units: dict[str, str]) -> str:
    """Every kind of work with every balancer. `units` has the unit of each kind's cost."""
    lines = []
    for name, by_peer in results.items():
        shown = {peer: summarize(samples) for peer, samples in by_peer.items() if samples}
        lines.append(f"\n### {name}\n")
        if name.startswith("idle"):
            lines += ["| balancer | KiB/connection | (min–max) | RSS MiB before | after | idle CPU % | connected | errors | rounds |", "|---|---|---|---|---|---|---|---|---|"]
            for peer, r in sorted(shown.items(), key=lambda x: x[1]["cost"]):
                lines.append(f"| {peer} | {r['kib_per_connection']:.2f} | {ends_of(by_peer[peer], 'cost')} | {r['rss_before_mib']:.1f} | {r['rss_after_mib']:.1f} | {r['idle_cpu_percent']:.2f} | {r['ready']:.0f} | {r['errors']:.0f} | {r['n']} |")
        elif name == "many_services":
            lines += ["| balancer | processes | RSS MiB | (min–max) | idle CPU % of a core | (min–max) | start s | rounds |", "|---|---|---|---|---|---|---|---|"]
            for peer, r in sorted(shown.items(), key=lambda x: x[1]["cost"]):
                what = f"{r['processes']:.0f}" + (f" → {r['extrapolated_to']:.0f}" if "extrapolated_to" in r else "")
                lines.append(f"| {peer} | {what} | {r['rss_mib']:.0f} | {ends_of(by_peer[peer], 'rss_mib')} | {r['idle_cpu_percent']:.1f} | "
                             f"{ends_of(by_peer[peer], 'idle_cpu_percent')} | {r['start_s']:.1f} | {r['n']} |")
        elif name == "two_workers":
            lines += ["| balancer | CPU us/req, one worker | two | two / one | (min–max) | opened in 1,000 requests, one worker | two | rounds |", "|---|---|---|---|---|---|---|---|"]
            for peer, r in shown.items():
                lines.append(f"| {peer} | {r['cost_one']:.3g} | {r['cost']:.3g} | {r['ratio']:.2f} | {ends_of(by_peer[peer], 'ratio')} | {r['opened_one']:.2f} | {r['opened_two']:.2f} | {r['n']} |")
        else:
            lines += loaded(by_peer, shown, units.get(name, ""))
    return "\n".join(lines)


def ends_of(samples: list[dict], metric: str) -> str:
    found = values(samples, metric)
    return ends(found) if found else "–"


def loaded(by_peer: dict[str, list[dict]], shown: dict[str, dict], unit: str) -> list[str]:
    """The rows of one kind of work under load."""
    first = best(by_peer, "cost")
    lowest = shown[first]["cost"] if first else None
    out = [f"| balancer | CPU {unit} | (min–max) | to the best rival | user share | req/s | p50 ms | p99 ms | p99.9 ms | its core busy | errors | rounds |",
           "|---|---|---|---|---|---|---|---|---|---|---|---|"]

    def of(row: dict, key: str, scale: float = 1000, digits: int = 2) -> str:
        return f"{row[key] / scale:.{digits}f}" if key in row else "–"

    for peer, r in sorted(shown.items(), key=lambda x: x[1].get("cost", 1e9)):
        if "cost" not in r:
            continue
        speed = of(r, "rps", 1, 0) if unit == "us/req" else of(r, "mib_s", 1, 0) + " MiB/s"
        ratio = f"{r['cost'] / lowest:.2f}" if lowest else "–"
        out.append(f"| {peer} | {r['cost']:.3g} | {r.get('cost_min', r['cost']):.3g}–{r.get('cost_max', r['cost']):.3g} | {ratio} | "
                   f"{of(r, 'user_share', 1)} | {speed} | {of(r, 'p50_us')} | {of(r, 'p99_us')} | {of(r, 'p999_us')} | "
                   f"{of(r, 'lb_core_share', 1)} | {of(r, 'errors', 1, 0)} | {r['n']} |")
    return out


def not_there(run: dict) -> str:
    """Whom and what the run was without."""
    said = [f"{name} is left out: {why}." for name, why in run.get("absent", {}).items()]
    return " ".join([*said, *(f"{text}." for text in run.get("left_out", []))])


def tuned(run: dict) -> str:
    """How TCP finds its speed where nobody asks for another way."""
    return f", TCP by {run['congestion']}" if run.get("congestion") else ""


def paced(run: dict) -> str:
    """What of the machine bulk hangs on."""
    return (", TCP as the machine has it (BBR, which paces; how bulk is without it: [docs/results.md](docs/results.md))"
            if run.get("congestion", "").startswith("bbr") else "")


def page(data: dict, units: dict[str, str]) -> str:
    """The whole of a run, for people."""
    run, results = data["runs"][-1], data["results"]
    versions = "; ".join(f"{name}: {said}" for name, said in run["versions"].items())
    out = [f"# Cost beside the rivals, {run['date']}", "",
           " ".join(filter(None, (f"{run['cpus']} × {run['cpu']}, Linux {run['kernel']}{tuned(run)}. {versions}.", not_there(run)))), "",
           f"`{run.get('command', 'bench/bench.py')}`: {run['reps']} interleaved rounds of {run['seconds']:g} s each; "
           "each balancer with one worker on a core of its own, load and origin on the other, loopback. "
           "CPU is the balancer's own (all threads and children). Medians; ratios are made round by round, with their ends in brackets. "
           "A sample during which others used more than a tenth of the balancer's core, or the host took away as much of both cores, doesn't count; of how many each median is, stands beside it.", "",
           "## fairlead beside its goals", "", *promises(results), "",
           "## Where it loses, and why", "", losses(results), "",
           "## All numbers", table(results, units), ""]
    return "\n".join(out)


# ----------------------------------------------------------------------------------- for the README
BEFORE = "## What works today\n"
MARKS = ("<!-- bench: written by bench/bench.py --publish -->", "<!-- /bench -->")


def published(page: str, data: dict, name: str) -> str:
    """The page with what this run says of the costs."""
    run = data["runs"][-1]
    inside = f"""
## What it costs

CPU, latency and memory beside others in the same run, by `make bench`: medians of interleaved rounds, of how many stands in each line, one worker on a core of its own, fairlead with its defaults{paced(run)}.
Ratios are made round by round; in brackets their ends.{" ".join(["", not_there(run)]).rstrip()}

![CPU of the balancer by kind of work](bench/results/{name}.svg)

{chr(10).join(promises(data["results"]))}

### Where it loses, and why

{losses(data["results"])}

Versions, commands and all numbers: [bench/results/{name}.md](bench/results/{name}.md).

"""
    return written(page, MARKS, inside, BEFORE)


WORKERS_MARKS = ("<!-- two workers: written by bench/bench.py --publish -->", "<!-- /two workers -->")


def published_workers(page: str, data: dict, name: str) -> str:
    """The page of results with what this run says of two workers: the same numbers as everywhere else."""
    samples = data["results"].get("two_workers", {}).get(MINE, [])
    if not samples:
        return page
    ratio, one, two = (median(samples, key) for key in ("ratio", "opened_one", "opened_two"))
    rounds = "one sample" if len(samples) == 1 else f"median of {len(samples)}, {ends_of(samples, 'ratio')}"
    inside = f"""
By `make bench` ([its numbers](../bench/results/{name}.md)): {number(ratio)} times the processor time per request of one worker ({rounds}; goal 1.11), and {number(two)} connections to backends opened in 1,000 requests instead of {number(one)} (goal 1).
"""
    return written(page, WORKERS_MARKS, inside, "## Under siege\n")


# ----------------------------------------------------------------------------------------- the drawing
INK, GRID, BAR, OWN, FLOOR, AIM = "#24292f", "#d0d7de", "#9aa4b1", "#1a7f4b", "#e3e6ea", "#c4432b"


def drawing(data: dict) -> str:
    """One panel per goal, one bar per balancer, with the ends of its samples. SVG."""
    results = data["results"]
    goals = {verdict.goal.work: verdict.goal for verdict in verdicts(results)}
    panels = []
    for goal in goals.values():
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
