"""Kinds of work without a constant load: memory of idle connections, 1,000 services, two workers.

Each takes one sample of one peer, and is named in `SPECIAL`.

Not here: work under load (`bench`), what the samples say (`samples`).
"""
from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import time

from machine import LB_CPU, LOAD_CPU, Proc, cpu, on_load_core, opened, rss, wait_port
from peers import Ctx, Peer
from place import BACKENDS, peer_running

CLIENTS = 64   # connections of hload, unless told otherwise
SPECIAL = ["idle_http", "idle_tcp", "many_services", "two_workers"]


def kind_of(name: str, peer: Peer) -> str | None:
    """The set-up of a peer for a kind of work without load; `None` if it has none."""
    if name == "many_services":
        return None if peer.name in ("haproxy-splice", "floor-splice") else "many"
    if name == "two_workers":
        return "workers" if "workers" in peer.kinds else None
    kind = {"idle_http": "http", "idle_tcp": "tcp"}[name]
    return kind if kind in peer.kinds and not (kind == "http" and peer.name.startswith("floor")) else None


def suits(opt, name: str, peer: Peer) -> bool:
    # In a short run these are for fairlead alone: their limits are numbers, no rival's multiples.
    if opt.short and peer.name != "fairlead":
        return False
    # Whoever needs a process for each service is no rival there.
    return kind_of(name, peer) is not None and name not in peer.not_for and not (
        opt.standard and name == "many_services" and "many" not in peer.kinds)


def sample(opt, name: str, peer: Peer) -> dict:
    """One sample of this kind of work."""
    kind = kind_of(name, peer)
    return run_many(opt, peer) if kind == "many" else run_workers(opt, peer) if kind == "workers" else run_idle(opt, peer, kind)


def run_idle(opt, peer: Peer, kind: str) -> dict:
    n = opt.idle
    with peer_running(opt, peer, kind) as (ctx, lb):
        on_load_core([str(opt.work / "hload"), "-n", "500", "-c", "8", "127.0.0.1:8080"], 30)
        time.sleep(0.5)
        before = rss(lb.pid)
        p = subprocess.Popen(["taskset", "-c", str(LOAD_CPU), str(opt.work / "hload"), "-i", "-c", str(n), "127.0.0.1:8080"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            line = json.loads(p.stdout.readline())
            if line["errors"]:
                raise RuntimeError(f"{line['errors']} of {n} idle connections had no answer, or were turned away")
            time.sleep(2)
            after, c0 = rss(lb.pid), cpu(lb.pid)["total"]
            time.sleep(4)
            c1 = cpu(lb.pid)["total"]
        finally:
            p.stdin.close()
            p.wait(20)
    return {"ready": line["ready"], "errors": line["errors"], "rss_before_mib": before / 2**20, "rss_after_mib": after / 2**20,
            "kib_per_connection": (after - before) / 1024 / max(1, line["ready"]), "idle_cpu_percent": (c1 - c0) / 4 * 100,
            "cost": (after - before) / 1024 / max(1, line["ready"])}


def run_many(opt, peer: Peer) -> dict:
    n = opt.services
    if "many" not in peer.kinds:   # one process each, extrapolated from 50
        k, procs = 50, []
        kind = "http" if "http" in peer.kinds else "tcp"
        try:
            t0 = time.monotonic()
            for i in range(k):
                procs.append(Proc(peer.start_argv(kind, Ctx(port=20000 + i, backends=BACKENDS), opt.work), LB_CPU, peer.env, opt.work / f"{peer.name}.log"))
            for i, p in enumerate(procs):
                wait_port(20000 + i, p)
            ready = time.monotonic() - t0
            time.sleep(3)
            mem = sum(rss(p.pid) for p in procs)
            c0 = sum(cpu(p.pid)["total"] for p in procs)
            time.sleep(opt.many_seconds)
            c1 = sum(cpu(p.pid)["total"] for p in procs)
        finally:
            for p in procs:
                p.stop()
        return {"processes": k, "extrapolated_to": n, "start_s": ready * n / k, "rss_mib": mem / 2**20 * n / k,
                "idle_cpu_percent": (c1 - c0) / opt.many_seconds * 100 * n / k, "cost": mem / 2**20 * n / k}
    t0 = time.monotonic()
    with peer_running(opt, peer, "many", services=n) as (ctx, lb):
        wait_port(ctx.port + n - 1, lb, 120)
        ready = time.monotonic() - t0
        time.sleep(5)
        mem, c0 = rss(lb.pid), cpu(lb.pid)["total"]
        time.sleep(opt.many_seconds)
        c1 = cpu(lb.pid)["total"]
    return {"processes": 1, "services": n, "start_s": ready, "rss_mib": mem / 2**20, "idle_cpu_percent": (c1 - c0) / opt.many_seconds * 100,
            "cost": mem / 2**20}


WORKER_TURNS = 4


def run_workers(opt, peer: Peer) -> dict:
    """CPU per request with one worker and with two, in turns, saturated. Load and origin have core 0, the balancer may use all:
    what two workers could serve can't be timed while the load needs one of two cores, but what each request costs them can.
    """
    costs: dict[int, list[float]] = {1: [], 2: []}
    opens: dict[int, list[float]] = {1: [], 2: []}
    with contextlib.ExitStack() as stack:
        origin = Proc([str(opt.work / "backend"), "127.0.0.1", "9001", "4"], LOAD_CPU)
        stack.callback(origin.stop)
        wait_port(9001, origin)
        balancers = {}
        for workers in costs:
            # No checks while it lasts: their connections would be counted with those of the requests.
            ctx = Ctx(port=8080 + workers, backends=BACKENDS, workers=workers, check_interval=3600)
            argv = peer.start_argv("http", ctx, opt.work / f"workers-{workers}")
            balancers[workers] = Proc(argv, None, peer.env, opt.work / f"{peer.name}.log")
            stack.callback(balancers[workers].stop)
            wait_port(ctx.port, balancers[workers])
        time.sleep(max(1.0, peer.settle))
        for turn in range(WORKER_TURNS):
            for workers in (1, 2) if turn % 2 else (2, 1):
                argv = [str(opt.work / "hload"), "-w", "0", "-p", "/b/100", f"127.0.0.1:{8080 + workers}"]
                on_load_core([*argv[:-1], "-d", "0.5", argv[-1]], 30)
                c0, o0 = cpu(balancers[workers].pid)["total"], opened()
                done = json.loads(on_load_core([*argv[:-1], "-d", str(opt.seconds), argv[-1]], 60))
                c1, o1 = cpu(balancers[workers].pid)["total"], opened()
                if done["errors"]:   # an answer of 502 is cheap, and no request served
                    raise RuntimeError(f"{peer.name} with {workers} workers: {done['errors']} of {done['all_requests']} requests failed")
                costs[workers].append((c1 - c0) / done["all_requests"] * 1e6)
                opens[workers].append(max(0, o1 - o0 - CLIENTS) / done["all_requests"] * 1e3)
    ratio = statistics.median(two / one for one, two in zip(costs[1], costs[2], strict=True))
    one, two = (statistics.median(costs[workers]) for workers in (1, 2))
    return {"cost": two, "cost_one": one, "ratio": ratio, "opened_one": statistics.median(opens[1]), "opened_two": statistics.median(opens[2])}
