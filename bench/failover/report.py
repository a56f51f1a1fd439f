"""What a run shows: tables for people, verdicts on fairlead's promises, and a drawing.

A result is a list of cells as `failover.py` writes them: who, settings, fault, load, and one entry
per repetition. Medians are over repetitions, in brackets the lowest and highest where they differ.
"""
from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from html import escape

import rivals
from experiment import SHAPES, SLOW_MS
from faults import ANY, CONTROL, FAULTS, Fault, Limit
from readme import written

Cells = list[dict]


def of(cells: Cells, **wanted: str) -> Cells:
    return [cell for cell in cells if all(cell[key] == value for key, value in wanted.items())]


def median(cell: dict, key: str) -> float | None:
    values = [run[key] for run in cell["runs"] if run[key] is not None]
    return statistics.median(values) if values else None


def spread(cell: dict, key: str, digits: int = 0) -> str:
    values = [run[key] for run in cell["runs"] if run[key] is not None]
    if not values:
        return "–"
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) < 2 or f"{min(values):.{digits}f}" == f"{max(values):.{digits}f}":
        return middle
    return f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def both(cell: dict | None) -> str:
    """`12 +3`: failed, and slow ones."""
    if cell is None:
        return "–"
    failed, slow = median(cell, "failed") or 0, median(cell, "slow") or 0
    return f"{failed:.0f}" + (f" +{slow:.0f}" if slow else "")


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head),
            *("| " + " | ".join(row) + " |" for row in rows)]


def matrix(cells: Cells, faults: list[Fault], peers: list[str]) -> list[str]:
    """Peers by faults, plain load; the best first."""
    plain = of(cells, shape="plain")
    rows = []
    for peer in peers:
        for config in ("default", "sensible", "tuned"):
            found = {cell["fault"]: cell for cell in of(plain, peer=peer, config=config)}
            if any(fault.name in found for fault in faults):
                row = [both(found.get(fault.name)) for fault in faults]
                total = sum(median(cell, "failed") or 0 for cell in found.values())
                rows.append((config == "tuned", total, [f"{peer} {config}", *row]))
    ordered = sorted(rows, key=lambda row: row[:2])
    shown = [fault for fault in faults if any(fault.name == cell["fault"] for cell in plain)]
    keep = [0, *(1 + number for number, fault in enumerate(faults) if fault in shown)]
    return table(["failed +slow", *(fault.name for fault in shown)],
                 [[row[number] for number in keep] for _, _, row in ordered])


# ------------------------------------------------------------------------------------------ verdicts
def limit_of(cell: dict) -> Limit | None:
    fault = FAULTS[cell["fault"]]
    return fault.tcp if rivals.is_tcp(cell["peer"]) else fault.http


def over_within(cell: dict) -> float | None:
    """When trouble has to be over. Where more than single requests may fail (tcp, frozen), those are
    trials: over tcp nothing else can tell that a process thaws, and each risks a client.
    """
    fault, limit = FAULTS[cell["fault"]], limit_of(cell)
    return fault.over if limit and limit.failed is not None and limit.failed <= 2 else None


def broken(cell: dict, run: dict) -> dict[str, str]:
    """Which promises a run of fairlead breaks: `failed`, `slow`, `over`, `back` or `twice`, and how.

    Slow ones of the machine's doing are told, and not held against anybody; failed ones always are.
    """
    fault, limit = FAULTS[cell["fault"]], limit_of(cell)
    said = {}
    if run["executed_twice"] and cell["shape"] == "post":
        said["twice"] = f"{run['executed_twice']} executed twice"
    if run.get("failed_but_well") and cell["shape"] == "post":
        said["failed"] = f"{run['failed_but_well']} failed that a host which is well had executed"
    if cell["shape"] == "post" or limit is None:
        return said     # what was under way can't be saved, and each is lost once
    noise = f", {run['failed_noise']} by the machine" if run["failed_noise"] else ""
    if limit.failed is not None and run["failed"] > limit.failed:
        said["failed"] = f"failed {run['failed']} > {limit.failed}{noise}"
    if limit.slow is not None and run["slow"] - run["slow_noise"] > limit.slow:
        noise = f", {run['slow_noise']} more by the machine" if run["slow_noise"] else ""
        said["slow"] = f"slow {run['slow'] - run['slow_noise']} > {limit.slow}{noise}"
    over = over_within(cell)
    if over is not None and run["trouble_s"] > over:
        said["over"] = f"trouble for {run['trouble_s']} s"
    if fault.back is not None and (run["back_s"] is None or run["back_s"] > fault.back):
        said["back"] = "never back" if run["back_s"] is None else f"back after {run['back_s']} s"
    return said


def promises(cells: Cells) -> list[str]:
    """fairlead beside its limits, cell by cell; a broken one in bold."""
    rows = []
    for cell in cells:
        if not cell["peer"].startswith("fairlead"):
            continue
        fault, limit = FAULTS[cell["fault"]], limit_of(cell)
        found = [broken(cell, run) for run in cell["runs"]]

        def shown(promise: str, text: str, bound: float | None) -> str:
            times = sum(promise in each for each in found)
            text = f"**{text}**" if times else text
            return text if bound is None else f"{text} of {bound:g}"

        post = cell["shape"] == "post"
        slow = spread(cell, "slow")
        if any(run["slow_noise"] for run in cell["runs"]):
            slow += f", machine {spread(cell, 'slow_noise')}"
        kept = sum(not each for each in found)
        rows.append([
            cell["peer"], cell["shape"], cell["fault"],
            shown("failed", spread(cell, "failed"), None if post or not limit else limit.failed),
            shown("slow", slow, None if post or not limit else limit.slow),
            shown("over", spread(cell, "trouble_s", 2), None if post else over_within(cell)),
            shown("back", spread(cell, "back_s", 2), None if post else fault.back),
            f"{median(cell, 'share_of_b') * 100:.0f} %",
            f"{kept} of {len(found)}" + (": " + ", ".join(max(found, key=len).values())
                                         if kept < len(found) else "")])
    return table(["", "load", "fault", "failed", f"slower than {SLOW_MS} ms",
                  "trouble lasts s", "back in use after s", "B's share", "kept"], rows)


def verdict(cells: Cells) -> list[str]:
    """What is kept in a sentence, and how each that is broken is run again alone."""
    mine = [cell for cell in cells if cell["peer"].startswith("fairlead")]
    bad = [cell for cell in mine if any(broken(cell, run) for run in cell["runs"])]
    out = [f"Of {len(mine)} pairs of load and fault, fairlead keeps all promises in "
           f"{len(mine) - len(bad)}; in {len(bad)} some run breaks one."]
    calm = of(mine, fault=CONTROL)
    if calm:
        slow = sum(run["slow"] for cell in calm for run in cell["runs"])
        failed = sum(run["failed"] for cell in calm for run in cell["runs"])
        asked = sum(run["requests"] for cell in calm for run in cell["runs"])
        out += ["", f"Control runs, in which nothing happens: of {asked} requests {failed} failed "
                    f"and {slow} were slower than {SLOW_MS} ms."]
    if bad:
        out += ["", "Each that is broken, again and alone:", "", "```", *(
            f"make bench-failover ARGS='--peers {cell['peer']} --loads {cell['shape']} "
            f"--faults {cell['fault']} --reps 3 --load-reps 3 --parallel 1'" for cell in bad),
            "```"]
    return out


def shapes(cells: Cells) -> list[str]:
    """fairlead by load and fault, over http and then over tcp."""
    rows = []
    mine = [cell for cell in cells if cell["peer"].startswith("fairlead")]
    names = [name for name in FAULTS
             if any(cell["fault"] == name and cell["shape"] != "plain" for cell in mine)]
    for peer in ("fairlead", "fairlead-tcp"):
        for shape in SHAPES.values():
            found = {cell["fault"]: cell for cell in of(mine, shape=shape.name, peer=peer)}
            if any(name in found for name in names):
                way = "tcp: " if rivals.is_tcp(peer) else ""
                rows.append([way + shape.text, *(both(found.get(name)) for name in names)])
    return table(["failed +slow", *names], rows) if names else []


# ---------------------------------------------------------------------------------- what can't be saved
UNEXPECTED = "**None was to be lost here, and none of this is explained.**"


def way_of(cell: dict) -> str:
    """Which of a fault's reasons is about this one."""
    return "post" if cell["shape"] == "post" else "tcp" if rivals.is_tcp(cell["peer"]) else "http"


def losses(cells: Cells) -> list[str]:
    """Of each fault that cost somebody a request: how many under which load, and why they can't be
    saved. Slow ones are told where nothing bounds them.
    """
    out = []
    for fault in FAULTS.values():
        for way, how in (("http", "http"), ("tcp", "tcp"), ("post", "POSTs")):
            found = [cell for cell in cells if cell["peer"].startswith("fairlead")
                     and cell["fault"] == fault.name and way_of(cell) == way and lost_some(cell)]
            if not found:
                continue
            why = getattr(fault.lost, way) or UNEXPECTED
            over = [cell["shape"] for cell in found if any("failed" in broken(cell, run)
                                                           for run in cell["runs"])]
            if over and why != UNEXPECTED:
                why += f" **Under {', '.join(over)} more were lost than is promised.**"
            out.append(f"- `{fault.name}`, {how}: {'; '.join(map(counted, found))}. {why}")
    return out


def said_of(lines: list[str]) -> list[str]:
    return ["How they ended is in brackets, of all runs: `0` is a client that got no whole answer, then "
            "what it waited for, then how that ended.", "", *lines] if lines else []


def lost_some(cell: dict) -> bool:
    limit = limit_of(cell)
    unbound = limit is not None and limit.slow is None and cell["fault"] != CONTROL
    return any(run["failed"] or unbound and run["slow"] for run in cell["runs"])


def counted(cell: dict) -> str:
    """`put 2 (1–3) of 1,600 failed (4 × 0:head:timeout; all executed, at B, none twice)`: medians,
    and in brackets all runs together.
    """
    def total(key: str) -> int:
        return sum(run[key] for run in cell["runs"])

    text = f"{cell['shape']} {spread(cell, 'failed')} of {median(cell, 'requests'):,.0f} failed"
    if limit_of(cell) == ANY:
        text += f", {spread(cell, 'slow')} were slow"
    if not total("failed"):
        return text
    done = total("failed_but_executed")
    how = "none executed" if not done else "all executed" if done == total("failed") else f"{done} executed"
    if done and not total("failed_but_well"):
        how += ", at B"
    if done and not total("executed_twice"):
        how += ", none twice"
    return f"{text} ({endings(cell)}; {how})"


def endings(cell: dict) -> str:
    """How the failed requests of all runs ended: `4 × 0:body:closed`."""
    whys: dict[str, int] = {}
    for run in cell["runs"]:
        for why, count in run["whys"].items():
            whys[why] = whys.get(why, 0) + count
    return ", ".join(f"{count} × {why}" for why, count in sorted(whys.items()))


def posts(cells: Cells) -> list[str]:
    rows = []
    for cell in of(cells, shape="post"):
        total = {key: sum(run[key] for run in cell["runs"]) for key in
                 ("requests", "failed", "failed_but_executed", "executed_twice")}
        rows.append([f"{cell['peer']} {cell['config']}", cell["fault"],
                     *(str(total[key]) for key in total),
                     endings(cell) or "–"])
    return table(["", "fault", "POSTs", "failed", "of them executed", "executed twice",
                  "status and why"], rows) if rows else []


def noise(cells: Cells) -> str:
    runs = [run for cell in cells for run in cell["runs"]]
    return (f"Guards over all {len(runs)} experiments: {sum(run['failed_before'] for run in runs)} "
            "requests failed before the fault began; of requests sent straight to a host that is "
            f"well, {sum(run['reference_slow'] for run in runs)} took over 100 ms and "
            f"{sum(run['reference_failed'] for run in runs)} failed.")


EXPLAINED = (
    "Two hosts, A and B, each a network namespace; B breaks (16 s for the first eight faults, 8 s "
    "for the others). 100 GETs a second, each on a new client connection, clients with 1 s of "
    f"patience. Failed: no whole answer with status 200 within 1 s. Slow: over {SLOW_MS} ms. "
    "Cells are medians.")


def text(data: dict) -> str:
    cells = data["cells"]
    eight = [fault for fault in FAULTS.values() if fault.eight]
    further = [fault for fault in FAULTS.values() if not fault.eight and fault.name != CONTROL]
    run = data["run"]
    out = [f"# Failover, {run['date']}", "", EXPLAINED, "",
           f"{run['machine']}. " + "; ".join(f"{name}: {said}" for name, said
                                             in run["versions"].items()) + "."
           + "".join(f" {name} is left out: {why}." for name, why
                     in run.get("absent", {}).items()), "",
           noise(cells), ""]
    for title, lines in (
        ("The eight faults, http", matrix(cells, eight, rivals.HTTP + rivals.OTHERS)),
        ("The same, tcp", matrix(cells, [f for f in eight if f.tcp], rivals.TCP + rivals.OTHERS)),
        ("Further faults, http", matrix(cells, further, rivals.HTTP)),
        ("Further faults, tcp", matrix(cells, [f for f in further if f.tcp], rivals.TCP)),
        ("fairlead under other loads", shapes(cells)),
        ("POSTs", posts(cells)),
        ("Which requests are lost, and why they can't be saved", said_of(losses(cells))),
        ("fairlead beside its promises", [*verdict(cells), "", *promises(cells)]),
    ):
        if len(lines) > 2:
            out += [f"## {title}", "", *lines, ""]
    asked = {cell["fault"] for cell in cells}
    out += ["## The faults", "",
            *(f"- `{fault.name}`: {fault.text}" for fault in FAULTS.values() if fault.name in asked),
            ""]
    return "\n".join(out)


# -------------------------------------------------------------------------------------- for the README
BEFORE = "## What works today\n"
MARKS = ("<!-- failover: written by bench/failover/failover.py --publish -->", "<!-- /failover -->")


def summary(data: dict) -> str:
    """The eight faults over http and the four over tcp, fairlead and its rivals' two settings."""
    cells = data["cells"]
    eight = [fault for fault in FAULTS.values() if fault.eight]
    return "\n".join([*matrix(cells, eight, rivals.HTTP), "",
                      *matrix(cells, [f for f in eight if f.tcp], rivals.TCP)])


def published(page: str, data: dict, name: str) -> str:
    """The page with what this run says of hosts that fail."""
    lines = EXPLAINED.replace(". ", ".\n")
    inside = f"""
## A host that fails

What clients notice, beside others in the same run, by `make bench-failover`.
{lines}
fairlead has its default settings; "sensible" is what the others' documentation uses, "tuned" the best that was found for exactly these faults.

![Requests that clients lose while a host is broken](bench/results/{name}.svg)

{summary(data)}

Versions, further faults, other loads, and fairlead beside its own promises: [bench/results/{name}.md](bench/results/{name}.md).

"""
    return written(page, MARKS, inside, BEFORE)


# ----------------------------------------------------------------------------------------- the drawing
INK, GRID, FAILED, SLOW, MINE = "#24292f", "#d0d7de", "#c4432b", "#e8a33d", "#1a7f4b"


def drawing(data: dict) -> str:
    """One panel per fault, one bar per balancer: failed, and behind it slow ones. SVG."""
    cells = of(data["cells"], shape="plain")
    http = [(fault, rivals.HTTP) for fault in FAULTS.values() if fault.eight]
    tcp = [(fault, rivals.TCP) for fault in FAULTS.values() if fault.eight and fault.tcp]
    panels = []
    for kind, faults in (("http", http), ("tcp", tcp)):
        for fault, peers in faults:
            rows = [(f"{cell['peer']} {cell['config']}" if cell["config"] != "default"
                     else cell["peer"], cell)
                    for config in ("default", "sensible", "tuned") for peer in peers
                    for cell in of(cells, peer=peer, config=config, fault=fault.name)]
            if rows:
                panels.append((f"{kind}: {fault.name}", rows))
    wide, row_high, columns = 330, 15, 3
    high = 40 + row_high * max((len(rows) for _, rows in panels), default=0)
    lines = math.ceil(len(panels) / columns)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide * columns + 20} '
           f'{high * lines + 70}" font-family="system-ui, sans-serif" font-size="10">',
           f'<rect width="100%" height="100%" fill="#ffffff"/>',
           f'<text x="10" y="22" font-size="15" fill="{INK}">Requests that clients lose while one of '
           "two hosts is broken, 100 a second</text>",
           f'<text x="10" y="40" fill="{FAILED}">■ failed</text>'
           f'<text x="70" y="40" fill="{SLOW}">■ slower than {SLOW_MS} ms</text>'
           f'<text x="190" y="40" fill="{INK}">root scale, so that small numbers show; the broken '
           "host\u2019s share is half of all</text>"]
    most = max((cell_total(cell) for _, rows in panels for _, cell in rows), default=1)
    for number, (title, rows) in enumerate(panels):
        x, y = 10 + number % columns * wide, 55 + number // columns * high
        out.append(panel(x, y, wide, title, rows, scale(most, wide - 190), row_high))
    return "\n".join([*out, "</svg>", ""])


def cell_total(cell: dict) -> float:
    return (median(cell, "failed") or 0) + (median(cell, "slow") or 0)


def scale(most: float, wide: float) -> Callable[[float], float]:
    return lambda value: math.sqrt(value / most) * wide if most else 0


def panel(x: float, y: float, wide: float, title: str, rows: list[tuple[str, dict]],
          length: Callable[[float], float], row_high: int) -> str:
    out = [f'<g transform="translate({x} {y})"><text y="12" font-weight="600" font-size="12" '
           f'fill="{INK}">{escape(title)}</text>'
           f'<line x1="118" y1="18" x2="118" y2="{22 + row_high * len(rows)}" stroke="{GRID}"/>']
    for number, (name, cell) in enumerate(rows):
        top = 20 + number * row_high
        failed, slow = median(cell, "failed") or 0, median(cell, "slow") or 0
        own = cell["peer"].startswith("fairlead")
        weight = ' font-weight="700"' if own else ""
        out.append(f'<text x="112" y="{top + 10}" text-anchor="end" fill="{MINE if own else INK}"'
                   f"{weight}>{escape(name)}</text>")
        whole, part = length(failed + slow), length(failed)
        if slow:
            out.append(f'<rect x="118" y="{top + 2}" width="{whole:.1f}" height="{row_high - 4}" '
                       f'fill="{SLOW}"/>')
        if failed:
            out.append(f'<rect x="118" y="{top + 2}" width="{part:.1f}" height="{row_high - 4}" '
                       f'fill="{FAILED}"/>')
        out.append(f'<text x="{118 + whole + 4:.1f}" y="{top + 10}" fill="{INK}"{weight}>'
                   f"{both(cell)}</text>")
    return "".join([*out, "</g>"])
