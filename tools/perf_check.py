"""Counts what a request costs, and compares it with the last count: `make perf-check`.

Instructions and allocations of the deciding code are counted by callgrind over
crates/fairlead-flow/examples/request_cost.rs: twice, for few and for many requests, so that the
difference is the requests alone. System calls are counted by strace over a real instance with one
worker. Both repeat on a noisy machine, where times don't.

bench/perf/counts.json holds the last accepted counts and the compiler that they belong to. More than
5 % more instructions, one more allocation or one more system call fail. Another compiler's counts
are shown and not judged. `--accept` writes what was counted.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fairlead.testing import FakeBackend, Program

ROOT = Path(__file__).resolve().parent.parent
COUNTS = ROOT / "bench" / "perf" / "counts.json"
EXAMPLE = ROOT / "target" / "release" / "examples" / "request_cost"
WORK = ("http_kept", "http_post", "http_new", "http_least", "tcp_new")
FEW, MANY = 2_000, 8_000
SHARE = {"instructions": 1.05, "allocations": 1.0, "system_calls": 1.0}
ROOM = {"instructions": 0.0, "allocations": 0.05, "system_calls": 0.5}
"""What more is allowed: a share of the last count, and as many on top (timers, chance)."""
REQUESTS = 2_000
"""Requests over which system calls are counted."""

Counts = dict[str, dict[str, float]]


def main() -> int:
    """Counts, compares, says. Exit code 1: something costs more than it did."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("--accept", action="store_true", help="the counts of now are the new ones")
    accept: bool = options.parse_args().accept
    if shutil.which("valgrind") is None:
        print("perf-check needs valgrind", file=sys.stderr)
        print("hint: apt install valgrind", file=sys.stderr)
        return 2
    command = ["cargo", "build", "--release", "--locked", "--quiet"]
    subprocess.run([*command, "-p", "fairlead-flow", "--example", "request_cost"], check=True)
    compiler = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True)
    found: dict[str, Any] = {"compiler": compiler.stdout.strip(), "per_request": {}}
    for work in WORK:
        found["per_request"][work] = _per_request(work)
    if shutil.which("strace") is None:
        print("system calls: not counted, strace is not installed (apt install strace)")
    else:
        found["per_request"]["http_kept"]["system_calls"] = _system_calls()
    last = json.loads(COUNTS.read_text()) if COUNTS.exists() else None
    problems = _compare(found, last)
    if accept:
        COUNTS.parent.mkdir(parents=True, exist_ok=True)
        COUNTS.write_text(json.dumps(found, indent=2) + "\n")
        print(f"written: {COUNTS.relative_to(ROOT)}")
        return 0
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        hint = "if it has to be so: make perf-check ARGS=--accept, and the reason in the commit"
        print(f"hint: {hint}", file=sys.stderr)
    return 1 if problems else 0


def _per_request(work: str) -> dict[str, float]:
    few, many = _count(work, FEW), _count(work, MANY)
    return {what: round((many[what] - few[what]) / (MANY - FEW), 2) for what in few}


def _count(work: str, requests: int) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "-q"]
        command = [*valgrind, str(EXAMPLE), work, str(requests)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        text = out.read_text()
    summary = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    if summary is None:
        raise SystemExit(f"callgrind counted nothing for {work}")
    return {"instructions": int(summary[1]), "allocations": _allocations(text)}


def _allocations(text: str) -> int:
    """How often an allocating function of the C library was called, from callgrind's own format."""
    names: dict[str, str] = {}
    total = 0
    called = ""
    for line in text.splitlines():
        name = re.match(r"c?fn=(\(\d+\))(?: (.+))?", line)
        if name:
            if name[2]:
                names[name[1]] = name[2]
            if line.startswith("cfn="):
                called = names[name[1]]
        elif line.startswith("calls=") and called in ("malloc", "calloc", "realloc"):
            total += int(line[len("calls=") :].split()[0])
    return total


def _system_calls() -> float:
    """System calls of an instance per request: one kept connection, one request after the other."""
    backend = FakeBackend()
    arguments = ("http", "127.0.0.1:0", backend.address, "--check", "none", "--workers", "1")
    with backend, Program(*arguments) as program:
        host, port = program.address.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as client:
            _ask(client, 50)
            strace = ("strace", "-f", "-c", "-p", str(program.pid))
            trace = subprocess.Popen(strace, stderr=subprocess.PIPE, text=True)
            assert trace.stderr is not None
            trace.stderr.readline()  # "attached": counting has begun
            _ask(client, REQUESTS)
            trace.terminate()
            text = trace.communicate()[1]
    total = re.search(r"^100\.00 +\S+ +(?:\S+ +)?(\d+)(?: +\d+)? total$", text, re.MULTILINE)
    if total is None:
        raise SystemExit(f"strace counted nothing:\n{text}")
    return round(int(total[1]) / REQUESTS, 2)


def _ask(client: socket.socket, count: int) -> None:
    for _ in range(count):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(65536)


def _compare(found: dict[str, Any], last: dict[str, Any] | None) -> list[str]:
    judged = last is not None and last["compiler"] == found["compiler"]
    if last is None:
        print("there are no counts to compare with yet (bench/perf/counts.json)")
    elif not judged:
        print(f"not judged: the counts are of {last['compiler']}, this is {found['compiler']}")
    problems = []
    print(f"{'':12} {'':14} {'last':>10} {'now':>10}")
    for work, counts in found["per_request"].items():
        for what, now in counts.items():
            before = last["per_request"].get(work, {}).get(what) if last else None
            print(f"{work:12} {what:14} {before if before is not None else '-':>10} {now:>10}")
            if judged and before is not None and now > before * SHARE[what] + ROOM[what]:
                problems.append(f"{work}: {now} {what} per request, and it was {before}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
