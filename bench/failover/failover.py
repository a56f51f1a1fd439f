#!/usr/bin/env python3
"""Break a back-end host under steady traffic and count what the clients notice. See ../README.md.

    failover.py                        everything, fairlead three times and the rivals once
    failover.py --short                the eight faults, 6 s each, fairlead alone
    failover.py --faults frozen,slow --peers fairlead,envoy --configs tuned --loads plain,put
    failover.py --table results/failover.json          print the tables again
    failover.py --publish results/failover.json        its .md and .svg again, and the README's part

Exit code 1: a promise of fairlead's was broken (the table says which).
"""
from __future__ import annotations

import argparse
import concurrent.futures
import datetime
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
import rivals   # puts the folder above on the path
from experiment import SHAPES, Cell, Shape, Times, run
from faults import CONTROL, FAULTS
from gather import gather

HERE = Path(__file__).resolve().parent
README = HERE.parent.parent / "README.md"


def words(text: str, known: dict | list, what: str) -> list[str]:
    chosen = [word for word in text.split(",") if word]
    for word in chosen:
        if word not in known:
            raise SystemExit(f"`{word}`: expected a {what}, one of {', '.join(known)}")
    return chosen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", default="", help="names, or `eight`, or `further`")
    parser.add_argument("--peers", default="")
    parser.add_argument("--setup", action=argparse.BooleanOptionalAction, default=False,
                        help="set up rivals that aren't here, as far as packages allow "
                             "(`make bench-failover` does)")
    parser.add_argument("--configs", default="sensible,tuned", help="of the rivals")
    parser.add_argument("--loads", default="", help="names: " + ", ".join(SHAPES))
    parser.add_argument("--reps", type=int, help="of fairlead's cells under plain load (3)")
    parser.add_argument("--rival-reps", type=int, default=1)
    parser.add_argument("--load-reps", type=int,
                        help="of the other loads; left out: each as experiment.py has it")
    parser.add_argument("--parallel", type=int, default=12, help="experiments side by side")
    parser.add_argument("--before", type=float, default=2)
    parser.add_argument("--fault", type=float, help="seconds of each fault")
    parser.add_argument("--after", type=float, default=6)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--count", action="store_true", help="only say how long it would take")
    parser.add_argument("--add", action="append", default=[],
                        help="NAME=COMMAND with {backends} {backends,} {port} {tuned} {work}")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "lb-failover")
    parser.add_argument("--out", type=Path, help="results as JSON; .md and .svg are put beside it")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--publish", type=Path)
    return parser.parse_args()


def cells(options: argparse.Namespace, added: dict[str, str]) -> list[Cell]:
    """All that is to be measured, once for each repetition, in the order of measuring.

    Peers stand side by side within a fault and repetitions around it all, so that what disturbs one
    disturbs the others too.
    """
    sets = {"eight": [f.name for f in FAULTS.values() if f.eight],
            "further": [f.name for f in FAULTS.values() if not f.eight and f.name != CONTROL]}
    wanted = ",".join(",".join(sets.get(word, [word])) for word in options.faults.split(","))
    faults = [FAULTS[name] for name in words(wanted, FAULTS, "fault")]
    peers = words(options.peers, rivals.ALL + list(added), "peer")
    loads = [SHAPES[name] for name in words(options.loads, SHAPES, "load")]
    configs = words(options.configs, ["sensible", "tuned"], "setting")
    if options.short:
        faults = faults or [FAULTS[name] for name in sets["eight"]]
        peers = peers or ["fairlead", "fairlead-tcp"]
        loads = loads or [SHAPES["plain"]]
    everything = not loads
    loads = loads or list(SHAPES.values())
    peers = peers or rivals.ALL

    def repeated(shape: Shape, own: bool) -> int:
        if shape.name != "plain":
            return options.load_reps or shape.reps
        return (options.reps or shape.reps) if own else options.rival_reps

    found = []
    for rep in range(max(repeated(shape, own) for shape in loads for own in (True, False))):
        for shape in loads:
            plain = shape.name == "plain"
            chosen = faults or list(FAULTS.values())
            if everything and not plain and not faults:
                chosen = [FAULTS[name] for name in [*sets["eight"], CONTROL]]
            for fault in sorted(chosen, key=lambda fault: fault.seconds, reverse=True):
                for peer in peers:
                    own = peer.startswith("fairlead")
                    if (fault.tcp if rivals.is_tcp(peer) else fault.http) is None:
                        continue
                    if fault.name == CONTROL and not own:
                        continue
                    if rivals.is_tcp(peer) and not shape.tcp:
                        continue
                    if not plain and everything and not own:
                        continue
                    reps = repeated(shape, own)
                    for config in ["sensible"] if own else configs:
                        cell = Cell(peer, config == "tuned", fault, shape)
                        site = rivals.Site(8080, "probe", options.work,
                                           shape.groups or (fault.hosts,), fault.named)
                        there = rivals.command(peer, cell.tuned, site, added)
                        if rep < reps and there is not None:
                            found.append(cell)
    return found


def measure(options: argparse.Namespace, todo: list[Cell], added: dict[str, str]) -> list[dict]:
    """Run them, several side by side; what needs the machine for itself comes last."""
    results: dict[tuple, dict] = {}
    done, started = 0, time.monotonic()

    def note(cell: Cell, outcome: dict) -> None:
        key = (cell.peer, cell.config, cell.fault.name, cell.shape.name)
        entry = results.setdefault(key, {
            "peer": cell.peer, "config": cell.config, "fault": cell.fault.name,
            "shape": cell.shape.name, "runs": []})
        entry["runs"].append(outcome)
        wrong = report.broken(entry, outcome) if cell.peer.startswith("fairlead") else {}
        gone = time.monotonic() - started
        print(f"{gone / 60:4.1f} min {done:3}/{len(todo)} {cell.peer:13} {cell.config:8} {cell.shape.name:8} "
              f"{cell.fault.name:16} failed {outcome['failed']:4} slow {outcome['slow']:4} "
              f"({outcome['slow_noise']} noise) trouble {outcome['trouble_s']:5} "
              f"back {outcome['back_s']} share {outcome['share_of_b']:.2f} {outcome['whys'] or ''}"
              f"{'  BROKEN: ' + ', '.join(wrong.values()) if wrong else ''}", flush=True)

    for alone in (False, True):
        jobs = [cell for cell in todo if cell.shape.alone == alone]
        side = 1 if alone else options.parallel
        places: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(side):
            places.put(number)

        def job(cell: Cell) -> dict:
            place = places.get()
            times = Times(options.before, options.fault, options.after)
            try:
                return run(cell, times, options.work, added, place)
            finally:
                places.put(place)

        with concurrent.futures.ThreadPoolExecutor(side) as pool:
            running = {pool.submit(job, cell): cell for cell in jobs}
            try:
                for future in concurrent.futures.as_completed(running):
                    done += 1
                    cell = running[future]
                    failure = future.exception()
                    if failure is None:
                        note(cell, future.result())
                    else:
                        print(f"{cell.peer} {cell.config} {cell.shape.name} {cell.fault.name}: "
                              f"not measured: {type(failure).__name__}: {failure}", flush=True)
            except BaseException:
                # Ctrl-C: those under way end and clear up, the others never begin.
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    order = [(cell.peer, cell.config, cell.fault.name, cell.shape.name) for cell in todo]
    return sorted(results.values(), key=lambda entry: order.index(
        (entry["peer"], entry["config"], entry["fault"], entry["shape"])))


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")
    return f"{os.cpu_count()} × {model}, Linux {os.uname().release.partition('-')[0]}"


def write_beside(path: Path, data: dict) -> None:
    """The tables and the drawing of a run, beside its numbers."""
    path.with_suffix(".md").write_text(report.text(data))
    path.with_suffix(".svg").write_text(report.drawing(data))


def main() -> int:
    options = arguments()
    if options.table or options.publish:
        path = options.table or options.publish
        data = json.loads(path.read_text())
        if options.table:
            print(report.text(data))
        else:
            write_beside(path, data)
            README.write_text(report.published(README.read_text(), data, path.stem))
        return 0
    if os.geteuid() != 0:
        print("failover.py needs root, for network namespaces\nhint: sudo make bench-failover",
              file=sys.stderr)
        return 1
    # Whoever ends this run leaves no namespace behind: those under way end and clear up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.short:
        options.reps, options.load_reps = options.reps or 1, options.load_reps or 1
        options.after = min(options.after, 4)
        options.fault = options.fault or 6
    options.work.mkdir(parents=True, exist_ok=True)
    added = dict(word.split("=", 1) for word in options.add)
    absent = gather(rivals.wanted(options.peers, options.short), options.setup and not options.count)
    todo = cells(options, added)
    lengths = [options.before + (options.fault or cell.seconds) + options.after + 5
               for cell in todo if not cell.shape.alone]
    heavy = [options.before + (options.fault or cell.seconds) + options.after + 5
             for cell in todo if cell.shape.alone]
    print(f"{len(todo)} experiments, {options.parallel} side by side: about "
          f"{(sum(lengths) / options.parallel + sum(heavy)) / 60:.0f} minutes", flush=True)
    if options.count:
        return 0
    subprocess.run(["go", "build", "-o", str(options.work / "probe"), "."],
                   cwd=HERE / "probe", check=True)
    started = time.monotonic()
    data = {"run": {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"),
        "machine": machine(), "versions": rivals.versions([cell.peer for cell in todo]),
        "before_s": options.before, "after_s": options.after, "fault_s": options.fault,
        "parallel": options.parallel, "absent": absent,
    }, "cells": measure(options, todo, added)}
    data["run"]["minutes"] = round((time.monotonic() - started) / 60, 1)
    print("\n" + report.text(data))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(data, separators=(",", ":")) + "\n")
        write_beside(options.out, data)
    wrong = [cell for cell in data["cells"] if cell["peer"].startswith("fairlead")
             and any(report.broken(cell, outcome) for outcome in cell["runs"])]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
