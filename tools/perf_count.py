"""Counts what a request, or a pick, costs: what `make perf-check` judges.

Instructions and allocations are counted by callgrind over two examples of the pure crates, each work
twice, for few and for many turns, so that the difference is the turns alone. System calls are counted
by strace over a real instance with one worker. All of it repeats on a noisy machine, where times don't.

Not here: what is too much (perf_check).
"""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
from pathlib import Path

from fairlead.config.schema_pool import POLICIES
from fairlead.testing import FakeBackend, Program

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "target" / "release" / "examples"
EXAMPLE = EXAMPLES / "request_cost"
REQUESTS = (
    "http_kept",
    "http_post",
    "http_new",
    "http_least",
    "http_plain",
    "routes_1",
    "routes_10000",
    "tcp_kept",
    "tcp_new",
)
"""Works of crates/fairlead-flow/examples/request_cost.rs; each turn is a request or a message."""
PICK = "pick_1000_"
"""Begins the name of a pick, of a thousand backends by one policy (pick_cost.rs of the balance)."""
FEW, MANY = 2_000, 8_000
TRACED = 2_000
"""Requests over which system calls are counted."""
KINDS = {
    "receives": ("recvfrom", "recvmsg", "recvmmsg"),
    "sends": ("sendto", "sendmsg", "sendmmsg"),
    "waits": ("epoll_wait", "epoll_pwait", "epoll_pwait2"),
}
"""System calls of a request that have a name of their own. Those that aren't here count in all."""

Counts = dict[str, float]


def build() -> None:
    """Builds the examples."""
    command = ["cargo", "build", "--release", "--locked", "--quiet"]
    flow = ("-p", "fairlead-flow", "--example", "request_cost")
    balance = ("-p", "fairlead-balance", "--example", "pick_cost")
    subprocess.run([*command, *flow, *balance], check=True, cwd=ROOT)


def compiler() -> str:
    """The compiler that the counts belong to."""
    asked = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True)
    return asked.stdout.strip()


def instructions() -> dict[str, Counts]:
    """Instructions and allocations of each work, for each turn of it."""
    works = {work: [str(EXAMPLE), work] for work in REQUESTS}
    picks = {PICK + name.replace("-", "_"): name for name in POLICIES}
    works |= {work: [str(EXAMPLES / "pick_cost"), name] for work, name in picks.items()}
    return {work: _per_turn(command) for work, command in works.items()}


def _per_turn(command: list[str]) -> Counts:
    few, many = _count(command, FEW), _count(command, MANY)
    return {what: round((many[what] - few[what]) / (MANY - FEW), 2) for what in few}


def _count(command: list[str], turns: int) -> dict[str, int]:
    text = callgrind([*command, str(turns)])
    summary = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    if summary is None:
        raise SystemExit(f"callgrind counted nothing for {' '.join(command)}")
    return {"instructions": int(summary[1]), "allocations": allocations(text)}


def callgrind(command: list[str]) -> str:
    """What callgrind writes about a program, in its own format."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "-q"]
        subprocess.run([*valgrind, *command], check=True, stdout=subprocess.DEVNULL)
        return out.read_text()


def allocations(text: str) -> int:
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


def system_calls() -> Counts:
    """System calls of an instance: one kept connection, one request after the other.

    Those by kind are the worker's; `system_calls` are those of all threads of the process, Python's
    among them.
    """
    backend = FakeBackend()
    arguments = ("http", "127.0.0.1:0", backend.address, "--check", "none", "--workers", "1")
    with backend, Program(*arguments) as program:
        host, port = program.address.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as client:
            _ask(client, 50)
            counts = by_kind(_traced(client, "-p", str(_worker(program.pid))), TRACED)
            of_all = by_kind(_traced(client, "-f", "-p", str(program.pid)), TRACED)
    return counts | {"system_calls": of_all["system_calls"]}


def _worker(process: int) -> int:
    """The number of the thread that serves clients."""
    for task in Path(f"/proc/{process}/task").iterdir():
        if (task / "comm").read_text().strip() == "fairlead-0":
            return int(task.name)
    raise SystemExit("there is no thread called fairlead-0")


def _traced(client: socket.socket, *whom: str) -> str:
    """What strace counts while requests are answered."""
    trace = subprocess.Popen(("strace", "-c", *whom), stderr=subprocess.PIPE, text=True)
    assert trace.stderr is not None
    trace.stderr.readline()  # "attached": counting has begun
    _ask(client, TRACED)
    trace.terminate()
    return trace.communicate()[1]


def _ask(client: socket.socket, count: int) -> None:
    for _ in range(count):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(65536)


def by_kind(table: str, requests: int) -> Counts:
    """Calls by kind per request, and futexes in all, from the table of `strace -c`."""
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(\w+)$", table, re.MULTILINE)
    calls = {name: int(count) for count, name in rows if name != "total"}
    if not calls:
        raise SystemExit(f"strace counted nothing:\n{table}")
    counts = {kind: sum(calls.get(name, 0) for name in names) for kind, names in KINDS.items()}
    counts["system_calls"] = sum(calls.values())
    each = {kind: round(count / requests, 2) for kind, count in counts.items()}
    return each | {"futexes_in_all": calls.get("futex", 0)}
