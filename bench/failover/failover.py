#!/usr/bin/env python3
"""Break one of two back-end hosts under steady traffic and count what the clients notice. See ../README.md.

Three network namespaces per experiment: the balancer and its clients in one, host A and host B in one each.
"""
from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import datetime
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import peers as peerlib  # noqa: E402
from bench import Turns  # noqa: E402
from peers import SID  # noqa: E402

A, B, LBA, LBB = "10.77.1.2", "10.77.2.2", "10.77.1.1", "10.77.2.1"
BACKENDS = [f"{A}:9000", f"{B}:9000"]
FAULTS = {
    "blackhole": "host B swallows every packet (nothing comes back, no RST)",
    "linkdown": "host B's network interface goes down (ARP fails later)",
    "killed": "the process on B is killed (connection refused), started again at the end",
    "frozen": "the process on B is stopped: connects succeed in the kernel's backlog, no answers",
    "err50": "every other answer of B is a 500; its health page stays well",
    "slow": "B answers 2 s later; its health page stays fast",
    "flap": "B is a black hole for 1 s, well for 1 s, and so on",
    "loss30": "B loses 30 % of the packets that arrive",
}


def haproxy(tuned: bool, tcp: bool = False) -> str:
    mode = "tcp" if tcp else "http"
    conn = "250ms" if tuned else "5s"
    out = ["global", "  nbthread 1", "  maxconn 4000", "defaults", f"  mode {mode}", f"  timeout connect {conn}", "  timeout client 30s",
           f"  timeout server {'400ms' if tuned and not tcp else '30s'}", "  retries 3", f"  option redispatch{' 1' if tuned else ''}"]
    if tuned and not tcp:
        out.append("  retry-on conn-failure empty-response junk-response response-timeout 500 502 503 504")
    out += ["frontend f", "  bind 127.0.0.1:8080", "  default_backend b", "backend b", "  balance roundrobin"]
    if not tcp:
        out.append("  option httpchk GET /healthz")
    if tuned:
        out.append("  timeout check 250ms")
        extra = f"check inter 500ms fastinter 200ms downinter 500ms fall 2 rise 2 observe {'layer4' if tcp else 'layer7'} error-limit 3 on-error mark-down"
    else:
        extra = "check inter 2s fall 3 rise 2"
    return "\n".join(out + [f"  server s{i} {b} {extra}" for i, b in enumerate(BACKENDS)]) + "\n"


def nginx(tuned: bool, tcp: bool = False) -> str:
    d = "/bench"
    server = "max_fails=2 fail_timeout=5s" if tuned else ""
    ups = "".join(f"server {b} {server};" for b in BACKENDS)
    load = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n" if tcp else ""
    head = f"{load}daemon off; worker_processes 1; error_log stderr crit; pid {d}/PIDFILE; events {{ worker_connections 4000; }}\n"
    conn = "250ms" if tuned else "5s"
    if tcp:
        return head + f"stream {{ upstream b {{ {ups} }} server {{ listen 127.0.0.1:8080; proxy_connect_timeout {conn}; proxy_pass b; }} }}\n"
    extra = "proxy_read_timeout 400ms; proxy_next_upstream error timeout invalid_header http_500 http_502 http_503 http_504; proxy_next_upstream_tries 3;" if tuned else ""
    return head + (f"http {{ access_log off; upstream b {{ {ups} keepalive 64; }} server {{ listen 127.0.0.1:8080; location / {{ proxy_pass http://b; "
                   f"proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_connect_timeout {conn}; {extra} }} }} }}\n")


def envoy(tuned: bool, tcp: bool = False) -> str:
    t = "type.googleapis.com/envoy.extensions."
    if tcp:
        flt = {"name": "envoy.filters.network.tcp_proxy", "typed_config": {"@type": t + "filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": "b",
                                                                           "max_connect_attempts": 3}}
    else:
        route = {"cluster": "b", "timeout": "15s", "retry_policy": {
            "retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 3,
            "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": t + "retry.host.previous_hosts.v3.PreviousHostsPredicate"}}],
            "host_selection_retry_max_attempts": 3}}
        if tuned:
            route["retry_policy"] |= {"retry_on": "5xx,reset,connect-failure,refused-stream", "per_try_timeout": "0.3s",
                                      "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"}}
        flt = {"name": "envoy.filters.network.http_connection_manager", "typed_config": {
            "@type": t + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "h",
            "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": t + "filters.http.router.v3.Router"}}]}}
    check = {"timeout": "0.25s" if tuned else "1s", "interval": "0.5s" if tuned else "2s", "no_traffic_interval": "0.5s" if tuned else "2s",
             "unhealthy_threshold": 2 if tuned else 3, "healthy_threshold": 2}
    check["tcp_health_check" if tcp else "http_health_check"] = {} if tcp else {"path": "/healthz"}
    cluster = {"name": "b", "type": "STATIC", "connect_timeout": "0.25s" if tuned else "5s", "lb_policy": "ROUND_ROBIN", "health_checks": [check],
               "outlier_detection": {"consecutive_5xx": 3, "consecutive_gateway_failure": 2, "enforcing_consecutive_gateway_failure": 100, "interval": "0.5s",
                                     "base_ejection_time": "3s", "max_ejection_percent": 100} if tuned else {},
               # by default no more than 3 retries may be under way at a time: too few for one dead host out of two
               "circuit_breakers": {"thresholds": [{"max_retries": 1000}]} if tuned else {},
               "common_lb_config": {"healthy_panic_threshold": {"value": 0 if tuned else 50}},
               "load_assignment": {"cluster_name": "b", "endpoints": [{"lb_endpoints": [
                   {"endpoint": {"address": {"socket_address": {"address": b.split(":")[0], "port_value": int(b.split(":")[1])}}}} for b in BACKENDS]}]}}
    return json.dumps({"static_resources": {"listeners": [{"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 8080}},
                                                           "filter_chains": [{"filters": [flt]}]}], "clusters": [cluster]}})


def caddy(tuned: bool) -> str:
    if tuned:
        knobs = ["health_interval 500ms", "health_timeout 250ms", "health_fails 2", "health_passes 2", "fail_duration 3s", "max_fails 1", "unhealthy_status 5xx", "unhealthy_latency 400ms",
                 "lb_try_duration 900ms", "lb_try_interval 20ms", "transport http {", "\tdial_timeout 250ms", "\tresponse_header_timeout 400ms", "}"]
    else:
        knobs = ["health_interval 2s", "health_timeout 1s", "health_fails 3", "health_passes 2", "fail_duration 10s", "lb_try_duration 5s"]
    body = "\n".join("\t\t" + k for k in ["lb_policy round_robin", "health_uri /healthz", *knobs])
    return ("{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\nhttp://:8080 {\n\tbind 127.0.0.1\n"
            f"\treverse_proxy {' '.join(BACKENDS)} {{\n{body}\n\t}}\n}}\n")


def traefik(tuned: bool, work: Path, tag: str, port: str) -> list[str]:
    svc = {"loadBalancer": {"servers": [{"url": f"http://{b}"} for b in BACKENDS],
                            "healthCheck": {"path": "/healthz", "interval": "500ms" if tuned else "2s", "timeout": "250ms" if tuned else "1s"}}}
    dyn = {"http": {"routers": {"r": {"entryPoints": ["e"], "service": "s", "rule": "PathPrefix(`/`)", "middlewares": ["retry"]}}, "services": {"s": svc},
                    "middlewares": {"retry": {"retry": {"attempts": 3, "initialInterval": "10ms"}}}}}
    static = {"global": {"checkNewVersion": False, "sendAnonymousUsage": False}, "log": {"level": "ERROR"}, "entryPoints": {"e": {"address": f"127.0.0.1:{port}"}},
              "providers": {"file": {"filename": f"{work}/{tag}-dyn.yml"}}}
    if tuned:
        static["serversTransport"] = {"forwardingTimeouts": {"dialTimeout": "250ms", "responseHeaderTimeout": "400ms"}}
    (work / f"{tag}-dyn.yml").write_text(json.dumps(dyn))
    (work / f"{tag}.yml").write_text(json.dumps(static))
    return [str(peerlib.Traefik.binary), f"--configFile={work}/{tag}.yml"]


TCP_FAULTS = ["blackhole", "killed", "frozen", "flap"]
PEERS = ["fairlead", "fairlead-tcp", "haproxy", "nginx", "envoy", "caddy", "traefik", "simplelb", "haproxy-tcp", "nginx-stream", "envoy-tcp", "pen", "balance", "balance.fm"]


def argv(peer: str, tuned: bool, work: Path, tag: str, extra: dict[str, str], port: int = 8080) -> list[str] | None:
    p = str(port)   # balance keeps a file per port: experiments that run side by side need their own
    chroot = ["chroot", str(SID)]
    d = SID / "bench"
    if SID.exists():
        d.mkdir(exist_ok=True)
        d.chmod(0o777)
    if peer in extra:
        text = extra[peer]
        for key, value in {"{backends}": " ".join(BACKENDS), "{backends,}": ",".join(BACKENDS), "{port}": p, "{tuned}": "tuned" if tuned else "sensible", "{work}": str(work)}.items():
            text = text.replace(key, value)
        return shlex.split(text)
    if peer.startswith("fairlead"):
        if tuned or not peerlib.Fairlead.binary.exists():
            return None   # there is nothing to tune: its defaults are what is compared
        kind, check = ("tcp", "tcp") if peer.endswith("tcp") else ("http", "/healthz")
        return [str(peerlib.Fairlead.binary), kind, f"127.0.0.1:{p}", *BACKENDS, "--check", check, "--workers", "1"]
    if peer.startswith("haproxy"):
        (d / f"{tag}.cfg").write_text(haproxy(tuned, peer.endswith("tcp")).replace("8080", p))
        return [*chroot, "/usr/sbin/haproxy", "-db", "-f", f"/bench/{tag}.cfg"]
    if peer.startswith("nginx"):
        (d / f"{tag}.conf").write_text(nginx(tuned, peer.endswith("stream")).replace("PIDFILE", tag + ".pid").replace("8080", p))
        return [*chroot, "/usr/sbin/nginx", "-c", f"/bench/{tag}.conf"]
    if peer.startswith("envoy"):
        (work / f"{tag}.json").write_text(envoy(tuned, peer.endswith("tcp")).replace("8080", p))
        return [str(peerlib.Envoy.binary), "-c", f"{work}/{tag}.json", "--concurrency", "1", "--disable-hot-restart", "-l", "off"]
    if peer == "caddy":
        (d / f"{tag}.caddy").write_text(caddy(tuned).replace("8080", p))
        return [*chroot, "/usr/bin/caddy", "run", "--config", f"/bench/{tag}.caddy", "--adapter", "caddyfile"]
    if peer == "traefik":
        return traefik(tuned, work, tag, p) if peerlib.Traefik.binary.exists() else None
    if peer == "simplelb":
        return [str(peerlib.SimpleLB.binary), "-port", p, "-backends", ",".join("http://" + b for b in BACKENDS)] if not tuned else None
    if peer == "pen":
        return [*chroot, "/usr/bin/pen", "-f", "-r", "-x", "4000", "-t", "1" if tuned else "5", "-b", "5" if tuned else "30", f"127.0.0.1:{p}", *BACKENDS]
    if peer in ("balance", "balance.fm"):
        binary = peerlib.PEER_HOME / peer
        if not binary.exists():
            return None
        knobs = []
        if peer == "balance.fm":
            knobs = ["-M", "-a", "-m", "connect:interval=1:timeout=0.5" if tuned else "connect:interval=2:timeout=1"]
        elif tuned:
            knobs = ["-a"]
        return [str(binary), "-f", "-b", "127.0.0.1", *knobs, *(["-t", "1"] if tuned else []), p, *BACKENDS]
    return None


def sh(*cmd: str, check: bool = True):
    return subprocess.run(cmd, check=check, capture_output=True, text=True)


class Lab:
    """Three namespaces joined by two veth pairs."""

    def __init__(self, tag: str):
        self.lb, self.a, self.b = (f"fo-{tag}-{x}" for x in ("lb", "a", "b"))

    def __enter__(self):
        for ns in (self.lb, self.a, self.b):
            sh("ip", "netns", "add", ns)
            sh("ip", "-n", ns, "link", "set", "lo", "up")
        for ns, here, there, name in ((self.a, LBA, A, "va"), (self.b, LBB, B, "vb")):
            sh("ip", "-n", self.lb, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", ns)
            sh("ip", "-n", self.lb, "addr", "add", here + "/24", "dev", name)
            sh("ip", "-n", self.lb, "link", "set", name, "up")
            sh("ip", "-n", ns, "addr", "add", there + "/24", "dev", "eth0")
            sh("ip", "-n", ns, "link", "set", "eth0", "up")
            sh("ip", "-n", ns, "route", "add", "default", "via", here)
        self.nft("add table inet f; add chain inet f i { type filter hook input priority 0; }; add chain inet f o { type filter hook output priority 0; }")
        return self

    def __exit__(self, *_):
        for ns in (self.lb, self.a, self.b):
            sh("ip", "netns", "del", ns, check=False)

    def nft(self, script: str):
        sh("ip", "netns", "exec", self.b, "nft", script)

    def spawn(self, ns: str, cmd: list[str], **kw) -> subprocess.Popen:
        return subprocess.Popen(["ip", "netns", "exec", ns, *cmd], stdin=subprocess.DEVNULL, start_new_session=True,
                                **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **kw})


def children(pid: int) -> list[int]:
    out = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for c in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                out += [int(c), *children(int(c))]
    return out


def end(p: subprocess.Popen):
    family = [p.pid, *children(p.pid)]
    for sig in (signal.SIGCONT, signal.SIGTERM):
        with contextlib.suppress(OSError):
            os.kill(p.pid, sig)
    try:
        p.wait(1)
    except subprocess.TimeoutExpired:
        pass
    for pid in family:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    p.wait()


def experiment(opt, peer: str, tuned: bool, fault: str, extra: dict[str, str], port: int) -> dict:
    tag = f"{peer[:14]}{'t' if tuned else 's'}{fault[:5]}".replace("-", "").replace(".", "")
    cmd = argv(peer, tuned, opt.work, tag, extra, port)
    probe = str(opt.work / "probe")
    with Lab(tag) as lab:
        procs = []
        try:
            serve = {h: lab.spawn(ns, [probe, "backend", h, f"{ip}:9000"]) for h, ns, ip in (("A", lab.a, A), ("B", lab.b, B))}
            procs += serve.values()
            time.sleep(0.5)
            log = open(opt.work / f"{tag}.log", "wb")
            procs.append(lab.spawn(lab.lb, cmd, stdout=log, stderr=log, env={**os.environ, "HOME": "/bench", "XDG_DATA_HOME": "/bench/caddy-data", "XDG_CONFIG_HOME": "/bench/caddy-conf"}))
            time.sleep(4.5 if not tuned else 3)   # started, first checks passed
            total = opt.before + opt.fault + opt.after
            out = opt.work / f"{tag}.out"
            with open(out, "wb") as f:
                client = lab.spawn(lab.lb, [probe, "client", f"http://127.0.0.1:{port}/", str(opt.rate), str(total), f"{opt.timeout}s"], stdout=f)
            procs.append(client)
            start = time.time()
            time.sleep(opt.before)
            b = serve["B"]
            t_fault = time.time()
            if fault == "blackhole":
                lab.nft("add rule inet f i drop; add rule inet f o drop")
            elif fault == "linkdown":
                sh("ip", "-n", lab.b, "link", "set", "eth0", "down")
            elif fault == "killed":
                os.kill(b.pid, signal.SIGKILL)
            elif fault == "frozen":
                os.kill(b.pid, signal.SIGSTOP)
            elif fault == "err50":
                os.kill(b.pid, signal.SIGUSR1)
            elif fault == "slow":
                os.kill(b.pid, signal.SIGUSR2)
            elif fault == "loss30":
                lab.nft("add rule inet f i numgen random mod 100 < 30 drop")
            if fault == "flap":
                for i in range(int(opt.fault)):
                    lab.nft("add rule inet f i drop; add rule inet f o drop" if i % 2 == 0 else "flush table inet f")
                    time.sleep(max(0, t_fault + i + 1 - time.time()))
            else:
                time.sleep(max(0, t_fault + opt.fault - time.time()))
            if fault in ("blackhole", "loss30", "flap"):
                lab.nft("flush table inet f")
            elif fault == "linkdown":
                sh("ip", "-n", lab.b, "link", "set", "eth0", "up")
                sh("ip", "-n", lab.b, "route", "add", "default", "via", LBB, check=False)
            elif fault == "killed":
                b.wait()
                serve["B"] = lab.spawn(lab.b, [probe, "backend", "B", f"{B}:9000"])
                procs.append(serve["B"])
            elif fault == "frozen":
                os.kill(b.pid, signal.SIGCONT)
            else:
                os.kill(b.pid, signal.SIGHUP)
            t_end = time.time()
            client.wait(total + opt.timeout + 10)
        finally:
            for p in reversed(procs):
                end(p)
        rows = [(float(a), float(d), int(s), w) for a, d, s, w in (x.split() for x in out.read_text().splitlines())]
    return analyse(rows, start, t_fault, t_end, opt)


def analyse(rows, start, t_fault, t_end, opt) -> dict:
    bad = [r for r in rows if r[2] != 200]
    slow = [r for r in rows if r[2] == 200 and r[1] > 250]
    trouble = [r[0] for r in rows if r[2] != 200 or r[1] > 250]
    during = [r for r in rows if t_fault - opt.timeout <= r[0] < t_end]
    to_b_after = [r[0] + r[1] / 1000 for r in rows if r[3] == "B" and r[0] >= t_end and r[2] == 200 and r[1] < 250]
    ok = sorted(r[1] for r in during if r[2] == 200)
    return {
        "p99_before_ms": sorted(r[1] for r in rows if r[0] < t_fault - opt.timeout)[-max(1, len([r for r in rows if r[0] < t_fault - opt.timeout]) // 100)],
        "requests": len(rows), "during_fault": len(during),
        "failed": len(bad), "failed_timeout": sum(r[2] == 0 for r in bad), "failed_status": sum(r[2] != 0 for r in bad),
        "failed_before": sum(r[0] < t_fault - opt.timeout for r in bad), "failed_after": sum(r[0] >= t_end for r in bad),
        "slow": len(slow), "slow_after": sum(r[0] >= t_end for r in slow),
        "trouble_until_s": round(max([t for t in trouble if t < t_end], default=t_fault) - t_fault, 2),
        "restored_s": round(min(to_b_after) - t_end, 2) if to_b_after else None,
        "b_share_during": round(sum(r[3] == "B" for r in during) / max(1, len(during)), 3),
        "p99_ok_ms": ok[int(len(ok) * 0.99)] if ok else None, "max_ok_ms": ok[-1] if ok else None,
    }


def table(results: dict) -> str:
    out = []
    for fault in FAULTS:
        rows = []
        for key, faults in results.items():
            runs = faults.get(fault)
            if not runs:
                continue
            med = lambda k: statistics.median([r[k] for r in runs if r[k] is not None] or [float("nan")])  # noqa: E731
            rows.append((med("failed"), med("slow"), f"| {key} | {med('failed'):.0f} ({min(r['failed'] for r in runs)}–{max(r['failed'] for r in runs)}) | {med('slow'):.0f} | "
                         f"{med('trouble_until_s'):.1f} | {'never' if all(r['restored_s'] is None for r in runs) else format(med('restored_s'), '.1f')} | {med('b_share_during') * 100:.0f} % | "
                         f"{med('p99_ok_ms'):.0f} | {med('failed_after'):.0f} |"))
        if rows:
            n = statistics.median([r["during_fault"] for f in results.values() for r in f.get(fault, [])])
            out += [f"\n### {fault}: {FAULTS[fault]} (about {n:.0f} requests during the fault)\n",
                    "| peer / configuration | failed (min–max) | slow > 250 ms | trouble lasts s | back in use after s | B's share during | p99 of good ones ms | failed after the fault ended |", "|---|---|---|---|---|---|---|---|"]
            out += [r[2] for r in sorted(rows)]
    return "\n".join(out)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--peers", default=",".join(PEERS))
    ap.add_argument("--add", action="append", default=[], help="NAME=COMMAND with {backends} {backends,} {port} {tuned} {work}")
    ap.add_argument("--faults", default=",".join(FAULTS))
    ap.add_argument("--configs", default="sensible,tuned")
    ap.add_argument("--reps", type=int, default=1)
    ap.add_argument("--parallel", type=int, default=8, help="16 x 200 requests/s overloads two cores: watch the column \"failed before\"")
    ap.add_argument("--rate", type=float, default=100)
    ap.add_argument("--timeout", type=float, default=1)
    ap.add_argument("--before", type=float, default=2)
    ap.add_argument("--fault", type=float, default=16)
    ap.add_argument("--after", type=float, default=12)
    ap.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "lb-failover")
    ap.add_argument("--lock")
    ap.add_argument("--out", type=Path)
    ap.add_argument("--table", type=Path)
    opt = ap.parse_args()
    if opt.table:
        print(table(json.loads(opt.table.read_text())["results"]))
        return
    opt.work.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", str(opt.work / "probe"), "."], cwd=HERE / "probe", check=True)
    extra = dict(x.split("=", 1) for x in opt.add)
    data = json.loads(opt.out.read_text()) if opt.out and opt.out.exists() else {"runs": [], "results": {}}
    data["runs"].append({"date": datetime.datetime.now().isoformat(timespec="seconds"), "rate": opt.rate, "timeout": opt.timeout, "before": opt.before,
                         "fault": opt.fault, "after": opt.after, "kernel": os.uname().release, "faults": FAULTS})
    jobs = []
    for rep in range(opt.reps):
        for peer in [*opt.peers.split(","), *extra]:
            for config in opt.configs.split(","):
                if argv(peer, config == "tuned", opt.work, "probe-cfg", extra) is None:
                    continue
                for fault in opt.faults.split(","):
                    if ("tcp" in peer or peer in ("nginx-stream", "pen", "balance", "balance.fm")) and fault not in TCP_FAULTS:
                        continue
                    jobs.append((peer, config, fault))
    fresh = set()
    turns = Turns(opt.lock, 150)
    for i in range(0, len(jobs), opt.parallel):
        batch = jobs[i:i + opt.parallel]
        with turns:
            with concurrent.futures.ThreadPoolExecutor(opt.parallel) as pool:
                futures = {pool.submit(experiment, opt, p, c == "tuned", fa, extra, 8080 + n): (p, c, fa) for n, (p, c, fa) in enumerate(batch)}
                for fu in concurrent.futures.as_completed(futures):
                    p, c, fa = futures[fu]
                    key = f"{p} {c}"
                    try:
                        r = fu.result()
                    except Exception as e:  # noqa: BLE001
                        print(f"{key} {fa}: FAILED {type(e).__name__}: {e} {getattr(e, 'stderr', '')}", flush=True)
                        continue
                    slot = data["results"].setdefault(key, {})
                    if (key, fa) not in fresh:
                        slot[fa] = []
                        fresh.add((key, fa))
                    slot[fa].append(r)
                    print(f"{key:22} {fa:10} failed {r['failed']:5} slow {r['slow']:5} trouble {r['trouble_until_s']:6} restored {r['restored_s']} share {r['b_share_during']} before {r['failed_before']} p99 before {r['p99_before_ms']:.0f} after {r['failed_after']}", flush=True)
        if opt.out:
            opt.out.write_text(json.dumps(data, indent=1))
    print(table(data["results"]))


if __name__ == "__main__":
    main()
