#!/usr/bin/env python3
"""What reloads of 1,000 pools cost those who are served meanwhile.

    .venv/bin/python bench/reload.py                 # 2,000 requests/s, 5 turns: a minute
    .venv/bin/python bench/reload.py --turns 10 --rate 8000

One fairlead with two workers, 1,000 http listeners and as many pools of four backends. First it is
reloaded without traffic: the processor time that each worker has had meanwhile is the longest that
the reload can have kept it from its clients. Then load goes to one listener at a constant rate, in
turns without and with reloads, one after the other (each changes the weight of every backend), and
latency counts from the moment a request was due. The balancer may use all cores: its control plane
reads the configuration beside its workers. Load and origin have the first core. Exit code 1 if a
worker needed more than 5 ms for the quickest reload (others use this machine, too), or if a request
failed.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from machine import FAIRLEAD, LOAD_CPU, Proc, build, free_ports, on_load_core, wait_port

SERVICES, BACKENDS = 1_000, 4
PAUSE_MS = 5.0


class Instance:
    """One fairlead with so many services, the first at `port`."""

    def __init__(self, work: Path, origin: int) -> None:
        (self.port,) = free_ports(1)
        self._origin, self._config = origin, work / "services.toml"
        self._weights = itertools.cycle((1, 2))
        self._write()
        environment = {"XDG_RUNTIME_DIR": str(work)}
        command = [FAIRLEAD, "run", str(self._config)]
        self.process = Proc(command, None, environment, work / "fairlead.err")
        self._told = work / "fairlead.err"
        self._socket = work / "fairlead" / f"{self.process.pid}.sock"

    def wait_ready(self) -> None:
        wait_port(self.port, self.process)
        while not self._socket.exists():   # clients are let in first
            if self.process.p.poll() is not None:
                raise RuntimeError(self._told.read_text())
            time.sleep(0.05)

    def _write(self) -> None:
        weight = next(self._weights)
        each = range(self._origin, self._origin + BACKENDS)
        backends = ", ".join(f'{{ address = "127.0.0.1:{port}", weight = {weight} }}' for port in each)
        text = ['workers = 2\n[defaults.pools.check]\ntype = "tcp"\ninterval = "2s"\n']
        for number in range(SERVICES):
            port = 0 if number else self.port
            text.append(
                f'[listeners.l{number}]\nbind = "127.0.0.1:{port}"\npool = "p{number}"\n'
                f"[pools.p{number}]\nbackends = [{backends}]\n"
            )
        self._config.write_text("".join(text))

    def reload(self) -> float:
        """Changes every backend's weight; how many seconds that took."""
        self._write()
        began = time.monotonic()
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self._socket))
        connection.request("POST", "/v1/reload")
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"reload: {answer.status} {said!r}")
        return time.monotonic() - began

    def worker_ms(self) -> list[float]:
        """Processor time of each worker so far."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        workers = [each for each in threads if (each / "comm").read_text().strip()[-2:] in ("-0", "-1")]
        return [int((each / "schedstat").read_text().split()[0]) / 1e6 for each in sorted(workers)]


def quiet_reloads(instance: Instance, count: int) -> list[float]:
    """What the busier worker has computed during each reload, in ms."""
    out = []
    for _ in range(count):
        before = instance.worker_ms()
        instance.reload()
        out.append(max(b - a for a, b in zip(before, instance.worker_ms(), strict=True)))
    return out


def turn(work: Path, instance: Instance, given: argparse.Namespace, reloads: bool) -> dict[str, float]:
    over, times, faults = threading.Event(), [], []

    def keep_reloading() -> None:
        try:
            while not over.is_set():
                times.append(instance.reload())
        except Exception as fault:
            faults.append(fault)

    changing = threading.Thread(target=keep_reloading)
    if reloads:
        changing.start()
    load = [str(work / "hload"), "-w", "0.5", "-c", "64", "-p", "/b/100", "-r", str(given.rate)]
    try:
        text = on_load_core([*load, "-d", str(given.seconds), f"127.0.0.1:{instance.port}"], 120)
    finally:
        over.set()
        if reloads:
            changing.join()
    if faults:   # with fewer reloads than it says, a turn is none
        raise faults[0]
    result = json.loads(text)
    row = {"p50": result["p50_us"], "p99": result["p99_us"], "p99.9": result["p999_us"], "max": result["max_us"]}
    return {key: value / 1000 for key, value in row.items()} | {"errors": result["errors"], "reloads": len(times)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=2_000, help="requests per second")
    parser.add_argument("--turns", type=int, default=5, help="turns of each")
    parser.add_argument("--seconds", type=float, default=5, help="measured, of each turn")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="fairlead-bench-"))
    build(work)
    origin = free_ports(BACKENDS)[0]
    started = [Proc([str(work / "backend"), "127.0.0.1", str(origin), str(BACKENDS)], LOAD_CPU)]
    rows: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    try:
        wait_port(origin, started[0])
        instance = Instance(work, origin)
        started.append(instance.process)
        instance.wait_ready()
        pauses = quiet_reloads(instance, 10)
        for number in range(given.turns):
            for name in rows:
                row = turn(work, instance, given, name == "with")
                rows[name].append(row)
                told = "  ".join(f"{key} {value:7.2f}" for key, value in row.items())
                print(f"{number + 1:2} {name:7} {told}", flush=True)
    finally:
        for process in started:
            process.stop()
        shutil.rmtree(work, ignore_errors=True)
    print(f"a worker's time for a reload, ms: {statistics.median(pauses):.2f} ({min(pauses):.2f}–{max(pauses):.2f})")
    for name, all_of in rows.items():
        medians = {key: statistics.median(row[key] for row in all_of) for key in all_of[0]}
        print(f"{name:7} reloads, ms: " + ", ".join(f"{key} {value:.2f}" for key, value in medians.items()))
    errors = sum(row["errors"] for all_of in rows.values() for row in all_of)
    if errors:
        print(f"{errors:.0f} requests failed", file=sys.stderr)
    return 1 if errors or min(pauses) > PAUSE_MS else 0


if __name__ == "__main__":
    raise SystemExit(main())
