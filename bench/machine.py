"""This machine as a bench sees it: which core is whose, what a process costs, tools that are built.

The balancer has a core of its own, load and origin share another; with one core all share it.

Not here: what is measured (`bench`, `policies`, `access_log`), how rivals are set up (`peers`).
"""
from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
FAIRLEAD = os.environ.get("FAIRLEAD") or str(Path(sys.executable).with_name("fairlead"))
CORES = sorted(os.sched_getaffinity(0))
LOAD_CPU, LB_CPU = CORES[0], CORES[min(1, len(CORES) - 1)]
LIBRARIES = {"hload": ["-lssl", "-lcrypto"]}


def build(work: Path, *more: str) -> None:
    """The origin and the load generator into this folder, and more (sources beside this file)."""
    work.mkdir(parents=True, exist_ok=True)
    for source in ("tools/backend.c", "tools/hload.c", *more):
        out, code = work / Path(source).stem, HERE / source
        newest = max(path.stat().st_mtime for path in (code, *code.parent.glob("*.h")))
        if not out.exists() or out.stat().st_mtime < newest:
            words = ["cc", "-O2", "-o", str(out), str(code), *LIBRARIES.get(out.name, [])]
            subprocess.run(words, check=True)


def free_ports(count: int) -> list[int]:
    """So many neighbouring ports that nobody listens on: an origin may want the next one, too."""
    for first in range(18_000, 30_000, count):
        ports = list(range(first, first + count))
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in ports:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return ports
    raise RuntimeError(f"no {count} ports in a row are free")


# ---------------------------------------------------------------- measuring a process tree
def tree(pid: int) -> list[int]:
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{p}/task"):
                todo += [int(c) for c in Path(f"/proc/{p}/task/{task}/children").read_text().split()]
    return out


def cpu(pid: int) -> dict[str, float]:
    """CPU seconds used by a process, all its threads and children (also those already gone and waited for)."""
    total = user = system = 0.0
    for p in tree(pid):
        try:
            f = Path(f"/proc/{p}/stat").read_text().rsplit(") ", 1)[1].split()
            total += time.clock_gettime((~p << 3) | 2)   # the process's CPU clock: nanoseconds, all threads
        except OSError:
            continue
        user += (int(f[11]) + int(f[13])) / TICK
        system += (int(f[12]) + int(f[14])) / TICK
        total += (int(f[13]) + int(f[14])) / TICK
    return {"total": total, "user": user, "system": system}


def rss(pid: int) -> int:
    """Proportional resident memory of the tree in bytes."""
    n = 0
    for p in tree(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{p}/smaps_rollup").read_text()
            n += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1)) * 1024
    return n


def core_busy(core: int) -> tuple[float, float]:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            v = [int(x) / TICK for x in line.split()[1:]]
            return v[0] + v[1] + v[2] + v[5] + v[6], v[7]
    return 0.0, 0.0


def opened() -> int:
    """TCP connections that were opened in this network namespace so far."""
    names, values = (x.split() for x in Path("/proc/net/snmp").read_text().splitlines() if x.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])


def wait_quiet(limit: float = 15.0):
    """Other work on this machine spoils a sample: wait until both cores idled for 0.3 s."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        a = [core_busy(c)[0] for c in (LB_CPU, LOAD_CPU)]
        time.sleep(0.3)
        b = [core_busy(c)[0] for c in (LB_CPU, LOAD_CPU)]
        if max(y - x for x, y in zip(a, b)) <= 0.03:
            return


# ---------------------------------------------------------------- processes
class Proc:
    def __init__(self, argv: list[str], core: int | None, env: dict[str, str] | None = None, log: Path | None = None):
        """A program on this core; `None`: on all of them."""
        self.log = open(log, "ab") if log else subprocess.DEVNULL

        def pin():
            os.sched_setaffinity(0, CORES if core is None else {core})
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

        self.p = subprocess.Popen(argv, preexec_fn=pin, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                                  stdout=self.log, stderr=self.log, start_new_session=True)
        self.pid = self.p.pid

    def stop(self):
        if self.p.poll() is None:
            mine = tree(self.pid)
            self.p.terminate()
            try:
                self.p.wait(2)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
            for pid in mine[1:]:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        if self.log is not subprocess.DEVNULL:
            self.log.close()


def wait_port(port: int, proc: Proc, limit: float = 60.0):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if proc.p.poll() is not None:
            raise RuntimeError(f"exited with {proc.p.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"no answer on port {port}")


def on_load_core(argv: list[str], timeout: float) -> str:
    r = subprocess.run(["taskset", "-c", str(LOAD_CPU), *argv], capture_output=True, text=True, timeout=timeout)
    if r.returncode:
        raise RuntimeError(f"{argv[0]}: {r.stderr.strip()[-300:]}")
    return r.stdout


@contextlib.contextmanager
def running(argv: list[str], core: int, port: int, **more) -> Iterator[Proc]:
    """A program on this core, from when it listens until the block ends."""
    proc = Proc(argv, core, **more)
    try:
        wait_port(port, proc)
        yield proc
    finally:
        proc.stop()
