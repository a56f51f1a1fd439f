"""Make docs/reference from the source: configuration, commands, reasons.

`make docs` writes the pages; ``--check`` compares them with what is there and exits with 1 if one
differs. Each page says at its top what it is made from.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference"
REASONS = "crates/fairlead-model/src/reason.rs"
ROW = re.compile(r'^    \w+ = "(\w+)", (\d+), (\w+), (\w+), (\w+), "([^"]+)";', re.MULTILINE)

FAULTS = {
    "Client": "the client",
    "Backend": "the backend, its host, or the way there",
    "Operator": "what is set up can't serve it now",
    "Nobody": "nobody",
}
RESENDS = {
    "Always": "yes: nothing of it was sent",
    "Idempotent": "if it may be repeated",
    "Never": "no",
}


def reasons() -> str:
    """The page of reasons, from the table in the model."""
    rows = []
    for code, status, fault, resend, evidence, text in ROW.findall(
        (ROOT / REASONS).read_text(encoding="utf-8")
    ):
        shown = status if status != "0" else "–"
        counts = "yes" if evidence == "true" else "no"
        rows.append(
            f"| `{code}` | {shown} | {text} | {FAULTS[fault]} | {RESENDS[resend]} | {counts} |"
        )
    table = "\n".join(rows)
    return f"""\
# Reasons

<!-- Made by `make docs` from {REASONS}; edit that file. -->

Why a request or connection ended as it did.
The code stands in `X-Fairlead-Reason` of every answer that fairlead makes itself, and in the counters of `fairlead status --json`.

- **status**: what the client gets; – where no answer could be given, or none was needed.
- **whose fault**: what a client does is never evidence against a backend.
- **sent again**: whether another backend, or the same one on a fresh connection, is tried first. The client sees the reason only when nobody is left to try. A request may be repeated if its method is idempotent, its body is still there, and nothing of an answer was passed on.
- **evidence**: whether it counts against the backend's health.

| code | status | what happened | whose fault | sent again | evidence |
|---|---|---|---|---|---|
{table}
"""


def config() -> str:
    """The page of the configuration, from its schema."""
    from fairlead.config.reference import render  # noqa: PLC0415 - so that --help needs no build

    return render().rstrip("\n") + "\n"


def commands() -> str:
    """The page of the command line: what the commands print about themselves."""
    from fairlead.cli.table import COMMANDS  # noqa: PLC0415 - likewise

    names = [[], *[[row.name] for row in COMMANDS]]
    with ThreadPoolExecutor(2) as pool:
        blocks = list(pool.map(_help, names))
    return "\n".join(
        [
            "# Commands\n",
            "<!-- Made by `make docs` from python/fairlead/cli; edit those files. -->\n",
            "What `fairlead --help` and `fairlead COMMAND --help` print.\n",
            *blocks,
        ]
    )


def _help(words: list[str]) -> str:
    program = Path(sys.executable).with_name("fairlead")
    done = subprocess.run(
        [program, *words, "--help"],
        env={**os.environ, "COLUMNS": "96", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "\n".join([f"## `{' '.join(['fairlead', *words])}`", "", "```", *lines, "```", ""])


MAKERS: dict[str, Callable[[], str]] = {
    "reasons.md": reasons,
    "config.md": config,
    "commands.md": commands,
}


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is old")
    check = parser.parse_args().check
    stale = []
    for name, make in MAKERS.items():
        page, text = PAGES / name, make()
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    if check and stale:
        print(f"not fresh: {', '.join(stale)}; run `make docs`")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
