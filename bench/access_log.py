#!/usr/bin/env python3
"""What the access log costs: p99 with it and without, in turns, at a constant rate.

    sudo .venv/bin/python bench/access_log.py                 # 30,000 requests/s, 15 turns: 4 minutes
    .venv/bin/python bench/access_log.py --rate 10000 --turns 4

Two fairlead instances, alike but for the log, run side by side; load goes to one of them at a time,
A B A B …, so that what disturbs one disturbs the other. Latency counts from the moment a request
was due. The balancers are pinned to core 1, origin and load generator to core 0, one worker each.
Prints a row for each turn, then the medians and their ratio, and that no line was lost. Exit code 1
if the median p99 with the log is more than 5 % above that without.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import urllib.request
from pathlib import Path

from machine import FAIRLEAD, LB_CPU, LOAD_CPU, Proc, build, cpu, free_ports, on_load_core, wait_port


class Instance:
    """One fairlead before the origin."""

    def __init__(self, work: Path, name: str, origin: int, log: str) -> None:
        self.port, self.admin = free_ports(2)
        config = work / f"{name}.toml"
        config.write_text(
            f'workers = 1\n{log}\n[admin]\nlisten = "127.0.0.1:{self.admin}"\n'
            f'[listeners.web]\nbind = "127.0.0.1:{self.port}"\npool = "app"\n'
            f'[pools.app]\nbackends = ["127.0.0.1:{origin}"]\ncheck = {{ type = "none" }}\n'
        )
        self.process = Proc([FAIRLEAD, "run", str(config)], LB_CPU, log=work / f"{name}.err")
        wait_port(self.port, self.process)

    def log(self) -> dict[str, int] | None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/v1/status") as answer:
            return json.load(answer)["access_log"]


def turn(work: Path, instance: Instance, given: argparse.Namespace) -> dict[str, float]:
    before = cpu(instance.process.pid)["total"]
    load = [str(work / "hload"), "-w", "1", "-c", "100", "-r", str(given.rate), "-d", str(given.seconds)]
    result = json.loads(on_load_core([*load, f"127.0.0.1:{instance.port}"], given.seconds + 60))
    used = cpu(instance.process.pid)["total"] - before
    return {
        "p50": result["p50_us"],
        "p99": result["p99_us"],
        "rps": result["rps"],
        "errors": result["errors"],
        "cpu_us": used / max(result["all_requests"], 1) * 1e6,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=30_000, help="requests per second")
    parser.add_argument("--turns", type=int, default=15, help="turns of each")
    parser.add_argument("--seconds", type=float, default=6, help="measured, of each turn")
    parser.add_argument("--format", choices=["json", "combined"], default="json")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="fairlead-bench-"))
    build(work)
    (origin,) = free_ports(1)
    started = [Proc([str(work / "backend"), "127.0.0.1", str(origin), "1"], LOAD_CPU)]
    try:
        wait_port(origin, started[0])
        log = f'access_log = {{ to = "{work}/access.log", format = "{given.format}" }}'
        plain, logged = Instance(work, "plain", origin, ""), Instance(work, "logged", origin, log)
        started += [plain.process, logged.process]
        rows: dict[str, list[dict[str, float]]] = {"plain": [], "logged": []}
        for number in range(given.turns):
            for name, instance in (("plain", plain), ("logged", logged)):
                row = turn(work, instance, given)
                rows[name].append(row)
                told = "  ".join(f"{key} {value:9.1f}" for key, value in row.items())
                print(f"{number + 1:2} {name:7} {told}", flush=True)
            # A disk that fills up is another test's matter.
            (work / "access.log").write_bytes(b"")
        counted = logged.log()
    finally:
        for process in started:
            process.stop()
    medians = {
        name: {key: statistics.median(row[key] for row in rows[name]) for key in rows[name][0]}
        for name in rows
    }
    print(json.dumps({"medians": medians, "access_log": counted}, indent=2))
    ratios = {key: medians["logged"][key] / medians["plain"][key] for key in ("p50", "p99", "cpu_us")}
    pairs = [b["p99"] / a["p99"] for a, b in zip(rows["plain"], rows["logged"], strict=True)]
    print(f"with / without: p50 {ratios['p50']:.3f}, p99 {ratios['p99']:.3f}, CPU {ratios['cpu_us']:.3f}")
    print(f"p99 turn by turn: median {statistics.median(pairs):.3f}; lines lost: {counted['lost']}")
    return 1 if ratios["p99"] > 1.05 else 0


if __name__ == "__main__":
    raise SystemExit(main())
