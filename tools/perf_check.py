"""Judges what a request costs by the last accepted counts: `make perf-check`.

Rules of this file
1. bench/perf/counts.json holds the counts that were last accepted and the compiler that they belong
   to. More than 5 % more instructions, an allocation more or a system call more fail; so does a count
   that there was and isn't, or that isn't there yet. By another compiler 10 % more may be.
2. Some counts have a bound whatever they were last: what the kernel is asked for by a kept request,
   what a pick may cost, and that a route among ten thousand costs what a single one costs.
3. Where valgrind or strace are missing, what they count is left out, and said so; in CI (`CI` set)
   nothing may be left out.

`--accept` writes what was counted. What is counted, and how: perf_count.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from typing import Any, NamedTuple

import perf_count
from perf_count import PICK, ROOT, Counts

COUNTS = ROOT / "bench" / "perf" / "counts.json"
MORE = 1.05
MORE_BY_ANOTHER_COMPILER = 1.10
ROOM = {
    "allocations": 0.05,
    "receives": 0.1,
    "sends": 0.1,
    "waits": 0.2,
    "system_calls": 0.5,
    "futexes_in_all": 5,
}
"""What more is allowed of what isn't a share of the last count: timers, and chance."""

KEPT = {
    # (at least, at most): one receive and one send on each side.
    "receives": (1.9, 2.1),
    "sends": (1.9, 2.1),
    # One client that waits for each answer: the worker waits for it, and for the backend.
    "waits": (1.0, 2.2),
    # Nobody is waited for by a lock.
    "futexes_in_all": (0, 5),
}
"""What a kept request may ask the kernel for. Less than the least is counted wrongly."""
PICK_MOST = 2_000
"""Instructions of a pick: some 200 ns (docs/design/007-budget.md)."""
FLAT = 1.10
"""What a request may cost among 10,000 routes, of what it costs where there is one."""
FINDING_MOST = 1_300
"""Instructions that finding one of 10,000 routes may take of that: some 130 ns."""
COUNTS_BY = {
    "valgrind": ("instructions", "allocations"),
    "strace": ("receives", "sends", "waits", "system_calls", "futexes_in_all"),
}


class Found(NamedTuple):
    """What was counted, and by which compiler's code."""

    compiler: str
    per_request: dict[str, Counts]


def main() -> int:
    """Counts, compares, says. Exit code 1: something costs more than it may, or wasn't counted."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("--accept", action="store_true", help="the counts of now are the new ones")
    accept: bool = options.parse_args().accept
    missing = [tool for tool in COUNTS_BY if shutil.which(tool) is None]
    if missing and not _may_leave_out(missing, accept=accept):
        return 1
    found = _count(missing)
    last = _read() if COUNTS.exists() else None
    _show(found, last)
    if accept:
        COUNTS.parent.mkdir(parents=True, exist_ok=True)
        COUNTS.write_text(json.dumps(found._asdict(), indent=2) + "\n")
        print(f"written: {COUNTS.relative_to(ROOT)}")
        last = found
    problems = judge(found, last, left_out=missing)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        hint = "if it has to be so: make perf-check ARGS=--accept, and the reason in the commit"
        print(f"hint: {hint}", file=sys.stderr)
    return 1 if problems else 0


def _may_leave_out(missing: list[str], *, accept: bool) -> bool:
    """Says what isn't counted, and whether that will do."""
    for tool in missing:
        what = ", ".join(COUNTS_BY[tool])
        print(f"left out: {what}: {tool} is not installed", file=sys.stderr)
    print(f"hint: apt install {' '.join(missing)}", file=sys.stderr)
    if accept:
        print("what isn't counted can't be accepted", file=sys.stderr)
    elif in_ci(os.environ):
        print("CI leaves nothing out", file=sys.stderr)
    else:
        return True
    return False


def in_ci(environment: Any) -> bool:
    """Whether this is a run that leaves nothing out."""
    return environment.get("CI", "").lower() not in ("", "0", "false")


def _count(missing: list[str]) -> Found:
    found = Found(perf_count.compiler(), {})
    if "valgrind" not in missing:
        perf_count.build()
        found.per_request.update(perf_count.instructions())
    if "strace" not in missing:
        found.per_request.setdefault("http_kept", {}).update(perf_count.system_calls())
    return found


def _read() -> Found:
    return Found(**json.loads(COUNTS.read_text()))


def _show(found: Found, last: Found | None) -> None:
    if last is not None and last.compiler != found.compiler:
        print(f"the counts are of {last.compiler}, this is {found.compiler}:")
        print(f"judged by {MORE_BY_ANOTHER_COMPILER - 1:.0%} more, instead of {MORE - 1:.0%}")
    print(f"{'':28} {'':14} {'last':>10} {'now':>10}")
    for work, counts in found.per_request.items():
        for what, now in counts.items():
            before = last.per_request.get(work, {}).get(what, "-") if last else "-"
            print(f"{work:28} {what:14} {before:>10} {now:>10}")


def judge(found: Found, last: Found | None, left_out: list[str]) -> list[str]:
    """What is wrong with the counts, a line each; nothing if all is well."""
    problems = [*_beyond_bounds(found.per_request)]
    if last is None:
        return [*problems, f"there are no counts to compare with: {COUNTS.relative_to(ROOT)}"]
    more = MORE if last.compiler == found.compiler else MORE_BY_ANOTHER_COMPILER
    not_counted = {what for tool in left_out for what in COUNTS_BY[tool]}
    for work in dict.fromkeys([*last.per_request, *found.per_request]):
        before, now = last.per_request.get(work, {}), found.per_request.get(work, {})
        for what in dict.fromkeys([*before, *now]):
            if what in not_counted:
                continue
            if what not in now:
                problems.append(f"{work}: {what} were counted before, and aren't any more")
            elif what not in before:
                problems.append(f"{work}: {what} have no count to compare with yet")
            elif now[what] > _most(what, before[what], more):
                problems.append(f"{work}: {what}: {now[what]}, and it was {before[what]}")
    return problems


def _most(what: str, before: float, more: float) -> float:
    return before * more if what == "instructions" else before + ROOM[what]


def _beyond_bounds(counts: dict[str, Counts]) -> list[str]:
    """Rule 2, as far as it was counted."""
    problems = []
    for what, (least, most) in KEPT.items():
        now = counts.get("http_kept", {}).get(what)
        if now is not None and not least <= now <= most:
            problems.append(f"http_kept: {what}: {now}, expected {least} to {most}")
    for work, each in counts.items():
        now = each.get("instructions")
        if work.startswith(PICK) and now is not None and now > PICK_MOST:
            problems.append(f"{work}: instructions: {now}, expected {PICK_MOST} at most")
    none, one, many = (
        counts.get(work, {}).get("instructions", 0)
        for work in ("http_kept", "routes_1", "routes_10000")
    )
    if many > one * FLAT:
        what = "one of 10,000 routes costs more than a single one"
        problems.append(f"{what}: {many} instructions and {one}, expected {FLAT:.2f} times at most")
    if many > none + FINDING_MOST:
        what = "finding one of 10,000 routes"
        problems.append(f"{what}: instructions: {many - none}, expected {FINDING_MOST} at most")
    return problems


if __name__ == "__main__":
    sys.exit(main())
