"""Make docs/reference from the source: configuration, commands, limits, reasons.

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
FIXED = "crates/fairlead-model/src/limits.rs"
CONSTANT = re.compile(r"((?:^/// ?.*\n)+)^pub const (\w+): \w+ = (.+);", re.MULTILINE)
PROXY, PROBE = "crates/fairlead-proto/src/proxy.rs", "crates/fairlead-flow/src/probe.rs"
HOP = "crates/fairlead-proto/src/hop.rs"
HTTP, SOCKET = "python/fairlead/control/http.py", "python/fairlead/control/socket.py"
STAND_IN = "crates/fairlead-engine/src/stand_in/exchange.rs"
STANDS_IN = "crates/fairlead-engine/src/stand_in.rs"
ELSEWHERE = (
    (PROXY, "V1_BYTES", "Bytes of a PROXY header of version 1: the longest that there can be."),
    (PROXY, "V2_BYTES", "Bytes of one of version 2: a few KiB with a client's certificate in it."),
    (HOP, "OPTIONS_MAX", "Options in `Connection`: what they name has to be looked for."),
    (PROBE, "ANSWER_BYTES", "Bytes of an answer to a check in which its head has to end."),
    (HTTP, "HEAD_BYTES_MAX", "Bytes of a request's head at the admin API."),
    (HTTP, "BODY_BYTES_MAX", "Bytes of a request's body there, if its route says nothing else."),
    (HTTP, "_REFUSED_BYTES_MAX", "Bytes of a refused body that are read and thrown away there."),
    (HTTP, "_IDLE_SECONDS", "Seconds there from one answer to the end of the next request's head."),
    (HTTP, "_REQUEST_SECONDS", "Seconds there from then to the end of its body."),
    (HTTP, "_WRITE_SECONDS", "Seconds in which a client there has to take what it is sent."),
    (SOCKET, "_CONNECTIONS_MAX", "Connections at once at each address of the API."),
    (STAND_IN, "HEAD.head", "Bytes of a request's head where the engine answers for Python."),
    (STAND_IN, "HEAD.headers", "Lines of a request's head then."),
    (STAND_IN, "BODY", "Bytes of a request's body then."),
    (STAND_IN, "THROWN_AWAY", "Bytes of a longer body that are read and thrown away then."),
    (STANDS_IN, "REQUEST", "Seconds for a request at the control socket then, whole."),
    (STANDS_IN, "PROBE", "Milliseconds for one at the address of `[admin]`."),
    (STAND_IN, "SILENCE", "Milliseconds that the sender of a body may pause in it then."),
    (STAND_IN, "ANSWER", "Seconds in which a client has to take what it is sent then."),
)
"""Bounds on what a stranger sends that stand beside their one use: file, name, what it is for."""
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


def limits() -> str:
    """The page of limits: those of the configuration, and those of the engine."""
    from fairlead.config.reference import limit_rows  # noqa: PLC0415 - so that --help needs no build

    rows = [f"| `{key}` | {default} | {text} |" for key, default, text in limit_rows()]
    fixed = [
        f"| `{name}` | {_value(value)} | {_sentence(doc)} |"
        for doc, name, value in CONSTANT.findall((ROOT / FIXED).read_text(encoding="utf-8"))
    ]
    elsewhere = [
        f"| `{name}` in `{where}` | {_value(_constant(where, name))} | {text} |"
        for where, name, text in ELSEWHERE
    ]
    return LIMITS.format(
        rows="\n".join(rows), fixed="\n".join(fixed), elsewhere="\n".join(elsewhere)
    )


def _constant(where: str, name: str) -> str:
    """The value of a constant, or of one of its fields, as it stands in a file of Rust or Python."""
    name, _, field = name.partition(".")
    inside = rf".*\b{field}: " if field else r"(?:Duration::from_\w+\()?"
    found = re.search(
        rf"^(?:pub )?(?:const )?{name}(?:: \w+)? = {inside}([\d_.* ]+)\b.*$",
        (ROOT / where).read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    if found is None:
        raise LookupError(f"{where}: expected a number named {name}")
    return found[1]


def _value(text: str) -> str:
    """A constant's value as people read it."""
    number = eval(text, {"__builtins__": {}})  # noqa: S307 - our own source: numbers and `*`
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if "1024" in text and number % size == 0 and number > size:
            return f"{number // size} {unit}"
    return f"{number:,g}" if isinstance(number, float) else f"{number:,}"


def _sentence(doc: str) -> str:
    """A documentation comment as one line of Markdown."""
    words = " ".join(line.removeprefix("///").strip() for line in doc.splitlines())
    return re.sub(r"\[(`\w+`)\]", r"\1", words)


LIMITS = """\
# Limits

<!-- Made by `make docs` from python/fairlead/config/schema_limits.py, schema_listener.py,
crates/fairlead-model/src/limits.rs and the files that the last table names; edit those files. -->

What a stranger may make fairlead hold, and for how long.
Whatever is over a limit gets an answer with the [reason](reasons.md) in `X-Fairlead-Reason`, where one can still be given; each is counted by its reason in `fairlead status --json` and in [`fairlead_errors_total`](metrics.md), of each listener.

When all places for connections are taken, this comes one after the other:

1. A client's connection that has been without a request for a second is closed (`made_room`). Clients know that a kept connection may end at any time, and lose nothing.
2. If there is none, newcomers get 503 (`listener_full`, `balancer_full`, `client_full`) and `Retry-After`; on tcp, where nothing can be said, a reset. An event `full` says so once, and once more when there has been room for a second.
3. Descriptors for backends, checks, the log and the API are not given to clients. Should they run out all the same (others may use up the system's, or a burst of newcomers holds them until it has been turned away), newcomers who have been told 503 and have yet to read it are closed first, then a kept connection to a backend, then an idle client's, and only then does accepting rest for some milliseconds at a time. A request that was let in and finds no descriptor for its backend waits for one, for two seconds or `timeouts.connect`, before it gets 503 (`out_of_resources`).

Requests under way, WebSockets and tcp connections are never closed to make room.

When the process has as much memory as `limits.memory` allows, newcomers and new requests get 503 (`memory_full`) until it has a tenth less, what is under way goes on, and an event `memory` says so.
Each of them closes a few connections that idle: up to four clients' that have been without a request for a second, those idle for longest first (`made_room`), and up to four that are kept for backends.
Whoever is refused has not got their place: an idle connection holds little, and what was freed shows when memory is looked at next, ten times a second. Newcomers are let in again when there is a tenth less, so that nothing swings.
A connection takes about a kilobyte while it is idle; the most that one can make fairlead hold is a head, `pipelined`, the 64 KiB of a body that may be sent again, and one receive buffer each way: some 320 KiB.

## To be set

| key | default | what it is for |
|---|---|---|
{rows}

## Fixed

Nobody was found yet who needs another value; they stand in one file.

Requests that come behind one that is being answered are bounded in bytes (`limits.pipelined`) and not in number: they aren't read as requests before their turn, so nobody knows yet how many they are, and their bytes are all that they cost. `limits.requests` counts those that had their turn.

| name | value | what it is for |
|---|---|---|
{fixed}

And these stand where they are used:

| where | value | what it is for |
|---|---|---|
{elsewhere}
"""


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
    "limits.md": limits,
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
