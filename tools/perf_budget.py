"""Where a request's instructions go: `.venv/bin/python tools/perf_budget.py`, as a Markdown table.

Counted by callgrind over the same example as `make perf-check`, as the difference of many and few
requests. A line counts for the file that it stands in, wherever the compiler put it; a line of the
standard library for the function of ours that it was put into. Nanoseconds are instructions, times
what one of them takes at the median of some runs of many requests, now and here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from statistics import median

from perf_count import EXAMPLE, FEW, MANY, build, callgrind

WORK = "http_kept"
TIMED = 500_000
"""Requests of a run whose time is taken."""
RUNS = 7

ROWS = (
    # First of all: what it counts is counted everywhere.
    (
        "counters and durations (metrics)",
        r"(balance|flow)/.*(stats|counter|histogram|timing|tally|recent|listener)\b",
    ),
    (
        "reading heads",
        r"proto/.*(head|grammar|name|request|response|target|framing|method|hop|upgrade)\b",
    ),
    ("writing heads, bodies", r"proto/|memcpy|memmove"),
    ("id of the request", r"request_id"),
    ("routes", r"flow/.*\broute"),
    ("picking a backend", r"balance/.*(view|policies|groups|pool|random|standing)|flow/.*\bseek"),
    ("kept connections", r"flow/.*\bidle|take_kept|::park|is_at"),
    ("timers", r"flow/.*\bwheel|sent_arm|client_arm|Flow::deadline"),
    ("learned times, latency", r"balance/.*(deadline|latency)|answer_took"),
    ("hedges and their budget", r"balance/.*budget|flow/.*\bhedge"),
    ("health, evidence, outliers", r"balance/|flow/.*(answers|path|blame|opinion|hosts|cut)\b"),
    ("limits", r"flow/.*(places|pace|room)\b"),
    ("faults on purpose, when off", r"flow/.*\bchaos"),
    ("access log, when off", r"flow/.*\blog"),
    ("the machines themselves", r"flow/"),
)
"""What a place is called, by the first pattern that fits."""


def main() -> int:
    """Prints the table."""
    build()
    few, many = (_read(callgrind([str(EXAMPLE), WORK, str(count)])) for count in (FEW, MANY))
    costs: Counter[str] = Counter({what: 0 for what, _ in ROWS})
    for place, count in many.items():
        costs[_row(place)] += count - few[place]
    total = sum(costs.values()) / (MANY - FEW)
    times = sorted(_user_seconds() / TIMED * 1e9 for _ in range(RUNS))
    nanoseconds = median(times) / total
    print("| what | instructions per request | user-ns | share |")
    print("|---|---|---|---|")
    for what, count in costs.most_common():
        each = count / (MANY - FEW)
        print(f"| {what} | {each:,.0f} | {each * nanoseconds:,.0f} | {each / total:.0%} |")
    print(f"| all | {total:,.0f} | {total * nanoseconds:,.0f} | |")
    print(f"\n{RUNS} runs of {TIMED:,}: {times[0]:.0f} to {times[-1]:.0f} ns of user time each,")
    print(f"{nanoseconds:.3f} ns an instruction at the median")
    return 0


def _user_seconds() -> float:
    """What a run takes of a processor outside of the kernel. Its start is a thousandth of it."""
    run = subprocess.Popen([EXAMPLE, WORK, str(TIMED)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode != 0:
        raise SystemExit(f"{EXAMPLE} ended with {run.returncode}")
    return usage.ru_utime


def _row(place: str) -> str:
    return next((what for what, pattern in ROWS if re.search(pattern, place)), "the example itself")


def _read(text: str) -> Counter[str]:
    """Instructions by place, `crate/path function`, from callgrind's format.

    Names are told once, then by number; a call's cost is the callee's.
    """
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    place = own = file = function = ""
    is_call = False
    for line in text.splitlines():
        named = re.match(r"(c?f[nile]|cob|ob)=(\(\d+\))(?: (.+))?", line)
        if named:
            kind, number, name = named.groups()
            key = (
                "fn" if kind in ("fn", "cfn") else "ob" if kind.endswith("ob") else "fl"
            ) + number
            if name:
                names[key] = name
            if kind == "fn":
                function, file = names[key], own
            elif kind == "fl":
                own = file = names[key]
            elif kind in ("fi", "fe"):
                file = names[key]
            place = _place(file, function)
        elif line.startswith("calls="):
            is_call = True
        elif re.match(r"[+\-*\d]", line):
            if not is_call:
                counts[place] += int(line.split()[1])
            is_call = False
    return counts


def _place(file: str, function: str) -> str:
    """Where a line belongs: its own file, or for the standard library the function around it."""
    ours = re.search(r"crates/fairlead-(\w+)/src/(.+)\.rs", file)
    if ours:
        return f"{ours[1]}/{ours[2]} {function}"
    crate = re.search(r"fairlead_(\w+?)::([\w:]+)", function)
    path = crate[2].replace("::", "/") if crate else ""
    return f"{crate[1]}/{path} {function}" if crate else function


if __name__ == "__main__":
    sys.exit(main())
