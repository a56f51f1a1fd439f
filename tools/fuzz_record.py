"""Add a run of a fuzzer to the record of all runs: tools/fuzz_record.py RECORD TARGET SANITIZER LOG.

The record (bench/results/fuzz.md) has the sums of each target first, and below them a row for each
day, version and target, the earliest first; it is read again and written anew, so that sums grow
from run to run and from machine to machine. A run that ended with a finding counts up to it, and
stands in the last table with a row that somebody fills in: what it was, and what mends it.
A version that history has been written anew over is replaced by the commit that took its place.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

COLUMNS = "| day | version | target | sanitizer | executions | seconds | findings |"
FUZZED = ("Cargo.lock", "crates", "fuzz", "python")
FOUND = "| version | target | what it was | mended by |"
_ROW = re.compile(
    r"\| (\d{4}-\d\d-\d\d) \| (\S+) \| `(\w+)` \| (\w+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \|"
)
TITLE = """\
# Fuzzing

<!-- Written by `make fuzz` (tools/fuzz_record.py), which adds its runs to what stands here. -->

Coverage-guided, each execution with its target's oracle (`fuzz/fuzz_targets`, `fuzz/python`): for
what is parsed, a second strict reader takes the same and refuses the same, however it is cut into
pieces, and what is accepted and written anew reads the same to it.
Findings are crashes, hangs, reports of a sanitizer, and broken oracles.
Rust targets are run with the address sanitizer, and, as what they run has no `unsafe`, several
times as often without.
"""


class Run(NamedTuple):
    """What was run on one day of one version with one target."""

    day: str
    version: str
    target: str
    sanitizer: str
    executions: int
    seconds: int
    findings: int

    @property
    def key(self) -> tuple[str, ...]:
        """What is summed up into one row."""
        return self[:4]

    def text(self) -> str:
        """A row of the table."""
        return (
            f"| {self.day} | {self.version} | `{self.target}` | {self.sanitizer} | "
            f"{self.executions:,} | {self.seconds:,} | {self.findings} |"
        )


def read(text: str) -> list[Run]:
    """The rows of a record."""
    return [
        Run(day, version, target, sanitizer, *(int(each.replace(",", "")) for each in numbers))
        for day, version, target, sanitizer, *numbers in _ROW.findall(text)
    ]


def of_log(log: str) -> tuple[int, int, int]:
    """Executions, seconds and findings, in libFuzzer's own words."""
    done = re.findall(r"^stat::number_of_executed_units:\s+(\d+)", log, re.MULTILINE)
    steps = re.findall(r"^#(\d+)\s.*?exec/s: ([1-9]\d*)", log, re.MULTILINE)
    executions = int((done or [step for step, _ in steps] or ["0"])[-1])
    took = re.findall(r"^Done \d+ runs in (\d+) second", log, re.MULTILINE)
    seconds = int(took[-1]) if took else executions // int(steps[-1][1]) if steps else 1
    return executions, seconds, int("SUMMARY: " in log)


def merged(runs: list[Run]) -> list[Run]:
    """One row for each day, version, target and sanitizer, in the order of the first of each."""
    rows: dict[tuple[str, ...], Run] = {}
    for run in runs:
        old = rows.get(run.key)
        rows[run.key] = run._replace(
            executions=run.executions + (old.executions if old else 0),
            seconds=run.seconds + (old.seconds if old else 0),
            findings=run.findings + (old.findings if old else 0),
        )
    return list(rows.values())


def machine() -> str:
    """Where the last run was."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    rust = subprocess.run(
        ["rustc", "+nightly", "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return (
        f"Last on {os.cpu_count()} processors ({names[0] if names else 'unknown'}), Linux "
        f"{platform.release()}, {rust or 'no nightly Rust'}, Python {platform.python_version()}."
    )


def render(runs: list[Run], found_rows: list[str]) -> str:
    """The whole record."""
    sums = []
    for target in sorted({run.target for run in runs}):
        of = [run for run in runs if run.target == target]
        plain = sum(run.executions for run in of if run.sanitizer == "none")
        watched = sum(run.executions for run in of if run.sanitizer == "address")
        every = sum(run.executions for run in of)
        sums.append(
            f"| `{target}` | {every:,} | {watched:,} | {plain:,} | "
            f"{sum(run.seconds for run in of) / 3600:.1f} | {sum(run.findings for run in of)} |"
        )
    every = sum(run.executions for run in runs)
    hours = sum(run.seconds for run in runs) / 3600
    found = sum(run.findings for run in runs)
    return "\n".join(
        [
            TITLE,
            machine(),
            "",
            "| target | executions | address sanitizer | none | hours | findings |",
            "|---|---|---|---|---|---|",
            *sums,
            f"| all | {every:,} | | | {hours:.1f} | {found} |",
            "",
            "## Runs",
            "",
            COLUMNS,
            "|---|---|---|---|---|---|---|",
            *(run.text() for run in runs),
            "",
            "## Findings",
            "",
            "Each beside the version that it was found in.",
            "",
            FOUND,
            "|---|---|---|---|",
            *found_rows,
            "",
        ]
    )


def git(*words: str) -> str | None:
    """What git says, or None where it fails."""
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def version() -> str:
    """Of what was fuzzed."""
    # The record itself has changed with the first target.
    dirty = "-dirty" if git("status", "--porcelain", "--", *FUZZED) else ""
    return (git("describe", "--always") or "unknown") + dirty


def in_history(version: str) -> str:
    """That version, or the commit of HEAD's history with its subject where a rebase has moved it."""
    commit, _, dirty = version.partition("-dirty")
    subject = git("log", "-1", "--format=%s", commit)
    if subject is None or git("merge-base", "--is-ancestor", commit, "HEAD") is not None:
        return version
    commits = (git("log", "--format=%h %s") or "").splitlines()
    moved = [each.split(" ")[0] for each in commits if each.partition(" ")[2] == subject]
    return f"{moved[0]}{'-dirty' if dirty else ''}" if moved else version


def findings(text: str, runs: list[Run]) -> list[str]:
    """The rows of what was found: those that stand there, and one for each that is new."""
    _, _, old = text.partition(FOUND)
    rows = [
        re.sub(r"(?<=^\| )\S+", lambda version: in_history(version[0]), line)
        for line in old.splitlines()
        if line.startswith("| ")
    ]
    for run in runs:
        begin = f"| {run.version} | `{run.target}` |"
        known = sum(row.startswith(begin) for row in rows)
        rows += [f"{begin} not looked into yet | |"] * (run.findings - known)
    return rows


def main() -> None:
    """Add one run."""
    record, target, sanitizer, log = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    text = record.read_text(encoding="utf-8") if record.exists() else ""
    found = of_log(log.read_text(encoding="utf-8", errors="replace"))
    of = os.environ.get("FUZZ_VERSION") or version()
    day = dt.datetime.now(tz=dt.UTC).date().isoformat()
    old = [run._replace(version=in_history(run.version)) for run in read(text)]
    runs = merged([*old, Run(day, of, target, sanitizer, *found)])
    record.write_text(render(runs, findings(text, runs)), "utf-8")


if __name__ == "__main__":
    main()
