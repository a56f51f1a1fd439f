"""Where a request's instructions go: `.venv/bin/python tools/perf_budget.py`, as a Markdown table.

Counted by callgrind over the same example as `make perf-check`, as the difference of many and few
requests. A line counts for the file that it stands in, wherever the compiler put it; a line of the
standard library for the function of ours that it was put into.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from perf_check import EXAMPLE, FEW, MANY

ROWS = (
    # First of all: what it counts is counted everywhere.
    (
        "counters and durations",
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
    few, many = _places(FEW), _places(MANY)
    costs: Counter[str] = Counter()
    for place, count in many.items():
        costs[_row(place)] += count - few[place]
    total = sum(costs.values()) / (MANY - FEW)
    print("| what | instructions per request | share |")
    print("|---|---|---|")
    for what, count in costs.most_common():
        each = count / (MANY - FEW)
        if each >= 1:
            print(f"| {what} | {each:,.0f} | {each / total:.0%} |")
    print(f"| all | {total:,.0f} | |")
    return 0


def _row(place: str) -> str:
    return next((what for what, pattern in ROWS if re.search(pattern, place)), "the example itself")


def _places(requests: int) -> Counter[str]:
    """Instructions by place: `crate/path function`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "-q"]
        command = [*valgrind, str(EXAMPLE), "http_kept", str(requests)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return _read(out.read_text())


def _read(text: str) -> Counter[str]:
    """Reads callgrind's format: names are told once, then by number; a call's cost is the callee's."""
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
