"""Where peers are measured: a network namespace of its own, an origin, a peer that runs before it."""
from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
import time
from pathlib import Path

from machine import LB_CPU, LOAD_CPU, Proc, build, wait_port
from peers import Ctx, Floor, Peer

BACKENDS = [f"127.0.0.1:{9001 + i}" for i in range(4)]

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def congestion() -> str:
    """How TCP finds its speed here, where nobody asks for another way; "" where that can't be told."""
    with contextlib.suppress(OSError):
        return CONGESTION.read_text().strip()
    return ""


def own_network(how: str | None = None):
    """A network namespace of our own; TCP finds its speed in it by this congestion control, or by the machine's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET): run as root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for key, value in {"net/ipv4/ip_local_port_range": "22000 65000", "net/core/somaxconn": "65535",
                       "net/ipv4/tcp_max_syn_backlog": "65535"}.items():
        with contextlib.suppress(OSError):
            Path("/proc/sys/" + key).write_text(value)
    if how:
        set_congestion(how)


def set_congestion(how: str):
    """Has TCP find its speed so, in this namespace; ends the program with what there is, where the kernel refuses."""
    try:
        CONGESTION.write_text(how)
    except OSError:
        allowed = CONGESTION.with_name("tcp_allowed_congestion_control")
        there = allowed.read_text().split() if allowed.exists() else []
        sys.exit(f"--congestion {how}: the kernel refuses it in a network namespace"
                 + (f"; it allows {' and '.join(there)} here (net.ipv4.tcp_allowed_congestion_control)" if there else ""))


def prepare(work: Path, peers: list[Peer]):
    for peer in peers:
        if isinstance(peer, Floor):
            build(work, f"floor/{peer.program}.c")
    if not (work / "cert.pem").exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365", "-subj",
                        "/CN=app.example.com", "-keyout", str(work / "key.pem"), "-out", str(work / "cert.pem")], check=True, capture_output=True)
        (work / "both.pem").write_text((work / "cert.pem").read_text() + (work / "key.pem").read_text())
        for f in ("key.pem", "both.pem"):
            (work / f).chmod(0o644)


@contextlib.contextmanager
def peer_running(opt, peer: Peer, kind: str, services: int = 1):
    ctx = Ctx(port=8080 if services == 1 else 10000, backends=BACKENDS, services=services)
    argv = peer.start_argv(kind, ctx, opt.work)
    origin = Proc([str(opt.work / "backend"), "127.0.0.1", "9001", "4"], LOAD_CPU)
    try:
        wait_port(9001, origin)
        lb = Proc(argv, LB_CPU, peer.env, opt.work / f"{peer.name}.log")
        try:
            wait_port(ctx.tls_port if kind in ("tls", "h2") else ctx.port, lb, 120)
            time.sleep(max(1.0, peer.settle))   # first health checks
            yield ctx, lb
        finally:
            lb.stop()
    finally:
        origin.stop()
