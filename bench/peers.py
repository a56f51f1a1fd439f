"""The balancers to compare: how each is configured and started.

A peer is a class with `kinds` (what it can do) and `files_and_argv(kind, ctx)`; ctx has port, backends, dir (as the peer
sees it) and tuning flags. Configuration follows each project's own documentation for a proxy: access log off, upstream
keep-alive on, one worker thread, active checks each 2 s where the product has them.
"""
from __future__ import annotations

import contextlib
import json
import os
import resource
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PEER_HOME = Path(os.environ.get("PEER_HOME", Path(__file__).resolve().parent / ".peers"))  # see README.md
SID = PEER_HOME / "sid"                                      # a Debian sid tree with haproxy, nginx, caddy, pen
MAXCONN = (min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 200000) - 500) // 2   # connections that fit with a back-end socket each


@dataclass
class Ctx:
    port: int = 8080
    tls_port: int = 8443
    backends: list[str] = field(default_factory=list)
    services: int = 1          # many_services: listeners port, port+1, ...
    idle_timeout: int = 300    # seconds
    workers: int = 1
    check_interval: int = 2    # seconds; only of those who have two_workers


class Peer:
    name = ""
    kinds: frozenset[str] = frozenset()
    root: Path | None = None       # run inside this tree (chroot)
    settle = 0.0                   # seconds to wait after the port answers
    env: dict[str, str] = {}
    note = ""
    without: frozenset[str] = frozenset()   # load tools that don't suit it
    not_for: frozenset[str] = frozenset()   # scenarios in which it says nothing

    def available(self) -> bool:
        return True

    def version(self) -> list[str]:
        """What prints its version; empty if nothing does, and `note` says what it is."""
        return []

    def write(self, work: Path, files: dict[str, str]) -> str:
        """Writes files where the peer can read them; returns the directory as the peer sees it."""
        base = (self.root / "bench") if self.root else work
        base.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (base / name).write_text(text)
        for name in ("cert.pem", "key.pem", "both.pem"):
            if (work / name).exists() and base != work:
                shutil.copy(work / name, base / name)
        return "/bench" if self.root else str(base)

    def wrap(self, argv: list[str]) -> list[str]:
        return ["chroot", str(self.root), *argv] if self.root else argv

    def start_argv(self, kind: str, ctx: Ctx, work: Path) -> list[str]:
        raise NotImplementedError


class HAProxy(Peer):
    name = "haproxy"
    kinds = frozenset({"http", "tcp", "tls", "h2", "many"})
    root = SID
    splice = False

    def available(self):
        return (SID / "usr/sbin/haproxy").exists()

    def version(self):
        return self.wrap(["/usr/sbin/haproxy", "-v"])

    def config(self, kind: str, ctx: Ctx, d: str) -> str:
        mode = "tcp" if kind == "tcp" else "http"
        t = ctx.idle_timeout
        out = [
            "global", "  nbthread 1", f"  maxconn {4000 if kind == 'many' or self.splice else MAXCONN}",   # splicing takes file descriptors too
            "  ssl-default-bind-options ssl-min-ver TLSv1.2",
            "defaults", f"  mode {mode}", "  timeout connect 5s", f"  timeout client {t}s", f"  timeout server {t}s",
            f"  timeout http-keep-alive {t}s", "  timeout http-request 10s", f"  maxconn {MAXCONN}", "  retries 3", "  option redispatch",
        ]
        if self.splice:
            out.append("  option splice-auto")
        for i in range(ctx.services):
            bind = f"127.0.0.1:{ctx.port + i}"
            if kind == "tls":
                bind = f"127.0.0.1:{ctx.tls_port} ssl crt {d}/both.pem alpn http/1.1"
            if kind == "h2":
                bind = f"127.0.0.1:{ctx.tls_port} ssl crt {d}/both.pem alpn h2,http/1.1"
            out += [f"frontend f{i}", f"  bind {bind}", f"  default_backend b{i}", f"backend b{i}", "  balance roundrobin"]
            if mode == "http":
                out.append("  option forwardfor")
            if kind == "many":
                out.append("  option httpchk GET /healthz")
            out += [f"  server s{n} {b} check inter 2s" for n, b in enumerate(ctx.backends)]
        return "\n".join(out) + "\n"

    def start_argv(self, kind, ctx, work):
        d = self.write(work, {})
        self.write(work, {f"{self.name}.cfg": self.config(kind, ctx, d)})
        return self.wrap(["/usr/sbin/haproxy", "-db", "-f", f"{d}/{self.name}.cfg"])


class HAProxySplice(HAProxy):
    name = "haproxy-splice"
    kinds = frozenset({"tcp", "http"})
    splice = True
    note = "option splice-auto"
    # The option is about large transfers.
    not_for = frozenset({"http_keepalive_100", "http_keepalive_100_rate", "http_keepalive_1k", "http_keepalive_1k_rate", "http_newconn",
                         "tcp_small", "tcp_small_rate", "tcp_newconn", "idle_http"})


class Nginx(Peer):
    name = "nginx"
    kinds = frozenset({"http", "tcp", "tls", "h2", "many"})
    root = SID

    def available(self):
        return (SID / "usr/sbin/nginx").exists()

    def version(self):
        return self.wrap(["/usr/sbin/nginx", "-v"])

    def start_argv(self, kind, ctx, work):
        d = self.write(work, {})
        servers = "\n".join(f"      server {b};" for b in ctx.backends)
        t = ctx.idle_timeout
        stream_mod = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n" if kind == "tcp" else ""
        head = (f"{stream_mod}daemon off;\nworker_processes 1;\n"
                f"error_log stderr crit;\npid {d}/nginx.pid;\nevents {{ worker_connections {2 * MAXCONN}; }}\n")
        if kind == "tcp":
            body = (f"stream {{\n  upstream b {{\n{servers}\n  }}\n  server {{\n    listen 127.0.0.1:{ctx.port};\n"
                    f"    proxy_connect_timeout 5s;\n    proxy_timeout {t}s;\n    proxy_pass b;\n  }}\n}}\n")
        else:
            blocks = []
            for i in range(ctx.services):
                listen = f"listen 127.0.0.1:{ctx.port + i};"
                if kind in ("tls", "h2"):
                    listen = (f"listen 127.0.0.1:{ctx.tls_port} ssl;\n    ssl_certificate {d}/cert.pem;\n    ssl_certificate_key {d}/key.pem;\n"
                              "    ssl_session_cache shared:SSL:10m;\n    ssl_protocols TLSv1.2 TLSv1.3;")
                if kind == "h2":
                    listen += "\n    http2 on;"
                blocks.append(f"  upstream b{i} {{\n{servers}\n      keepalive 64;\n      keepalive_requests 1000000000;\n  }}\n"
                              f"  server {{\n    {listen}\n    location / {{\n      proxy_pass http://b{i};\n      proxy_http_version 1.1;\n"
                              f"      proxy_set_header Connection \"\";\n      proxy_set_header Host $host;\n"
                              f"      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n    }}\n  }}\n")
            body = (f"http {{\n  access_log off;\n  keepalive_timeout {t}s;\n  keepalive_requests 1000000000;\n  client_max_body_size 0;\n"
                    f"  proxy_read_timeout {t}s;\n  client_body_temp_path {d}/ngx-body;\n  proxy_temp_path {d}/ngx-proxy;\n"
                    + "".join(blocks) + "}\n")
        self.write(work, {"nginx.conf": head + body})
        os.chmod(SID / "bench", 0o777)
        return self.wrap(["/usr/sbin/nginx", "-c", f"{d}/nginx.conf"])


class Envoy(Peer):
    name = "envoy"
    kinds = frozenset({"http", "tcp", "tls", "h2", "many"})

    binary = PEER_HOME / "envoy/envoy/_bin/envoy"

    def available(self):
        return self.binary.exists()

    def version(self):
        return [str(self.binary), "--version"]

    def http_filters(self):
        return [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]

    def start_argv(self, kind, ctx, work):
        listeners, clusters = [], []
        for i in range(ctx.services):
            if kind == "tcp":
                flt = {"name": "envoy.filters.network.tcp_proxy", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                    "stat_prefix": "t", "cluster": f"b{i}", "idle_timeout": f"{ctx.idle_timeout}s"}}
            else:
                flt = {"name": "envoy.filters.network.http_connection_manager", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "h", "use_remote_address": True,
                    "common_http_protocol_options": {"idle_timeout": f"{ctx.idle_timeout}s"},
                    "stream_idle_timeout": "300s",
                    "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
                        {"match": {"prefix": "/"}, "route": {"cluster": f"b{i}", "timeout": "0s"}}]}]},
                    "http_filters": self.http_filters()}}
            chain = {"filters": [flt]}
            port = ctx.port + i
            if kind in ("tls", "h2"):
                port = ctx.tls_port
                chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    "common_tls_context": {
                        "alpn_protocols": ["h2", "http/1.1"] if kind == "h2" else ["http/1.1"],
                        "tls_certificates": [{"certificate_chain": {"filename": f"{work}/cert.pem"}, "private_key": {"filename": f"{work}/key.pem"}}]}}}
            listeners.append({"name": f"l{i}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, "filter_chains": [chain]})
            cluster = {"name": f"b{i}", "type": "STATIC", "connect_timeout": "5s", "lb_policy": "ROUND_ROBIN",
                       "circuit_breakers": {"thresholds": [{"max_connections": 60000, "max_pending_requests": 60000, "max_requests": 60000, "max_retries": 60000}]},
                       "load_assignment": {"cluster_name": f"b{i}", "endpoints": [{"lb_endpoints": [
                           {"endpoint": {"address": {"socket_address": {"address": b.split(":")[0], "port_value": int(b.split(":")[1])}}}} for b in ctx.backends]}]}}
            check = {"timeout": "1s", "interval": "2s", "no_traffic_interval": "2s", "unhealthy_threshold": 3, "healthy_threshold": 2}
            check["http_health_check" if kind == "many" else "tcp_health_check"] = {"path": "/healthz"} if kind == "many" else {}
            cluster["health_checks"] = [check]
            clusters.append(cluster)
        conf = {"static_resources": {"listeners": listeners, "clusters": clusters}}
        self.write(work, {f"{self.name}.json": json.dumps(conf)})
        return [str(self.binary), "-c", f"{work}/{self.name}.json", "--concurrency", "1", "--disable-hot-restart", "-l", "off"]


class Caddy(Peer):
    name = "caddy"
    kinds = frozenset({"http", "tls", "h2", "many"})
    root = SID

    def available(self):
        return (SID / "usr/bin/caddy").exists()

    def version(self):
        return self.wrap(["/usr/bin/caddy", "version"])

    def start_argv(self, kind, ctx, work):
        d = self.write(work, {})
        out = ["{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n"]
        for i in range(ctx.services):
            site = f"http://127.0.0.1:{ctx.port + i}"
            tls = ""
            if kind in ("tls", "h2"):
                site, tls = f"https://:{ctx.tls_port}", f"\ttls {d}/cert.pem {d}/key.pem\n"
            site = site.replace("127.0.0.1", "")
            out.append(f"{site} {{\n\tbind 127.0.0.1\n{tls}\treverse_proxy {' '.join(ctx.backends)} {{\n\t\tlb_policy round_robin\n"
                       "\t\thealth_uri /healthz\n\t\thealth_interval 2s\n\t\tlb_try_duration 5s\n\t}\n}\n")
        self.write(work, {"Caddyfile": "".join(out)})
        return self.wrap(["/usr/bin/caddy", "run", "--config", f"{d}/Caddyfile", "--adapter", "caddyfile"])

    env = {"HOME": "/bench", "XDG_DATA_HOME": "/bench/caddy-data", "XDG_CONFIG_HOME": "/bench/caddy-conf"}   # inside the tree


class Traefik(Peer):
    name = "traefik"
    kinds = frozenset({"http", "tcp", "tls", "h2", "many"})
    binary = PEER_HOME / "traefik"

    def available(self):
        return self.binary.exists()

    def version(self):
        return [str(self.binary), "version"]

    def start_argv(self, kind, ctx, work):
        tls = kind in ("tls", "h2")
        entry = {f"e{i}": {"address": f"127.0.0.1:{ctx.tls_port if tls else ctx.port + i}",
                           "transport": {"respondingTimeouts": {"readTimeout": "0s", "idleTimeout": f"{ctx.idle_timeout}s"}}} for i in range(ctx.services)}
        static = {"global": {"checkNewVersion": False, "sendAnonymousUsage": False}, "log": {"level": "ERROR"},
                  "entryPoints": entry, "providers": {"file": {"filename": f"{work}/traefik-dyn.yml"}}}
        proto = "tcp" if kind == "tcp" else "http"
        routers, services = {}, {}
        for i in range(ctx.services):
            router = {"entryPoints": [f"e{i}"], "service": f"s{i}", "rule": "HostSNI(`*`)" if proto == "tcp" else "PathPrefix(`/`)"}
            if tls:
                router["tls"] = {}
            routers[f"r{i}"] = router
            if proto == "tcp":
                services[f"s{i}"] = {"loadBalancer": {"servers": [{"address": b} for b in ctx.backends]}}
            else:
                services[f"s{i}"] = {"loadBalancer": {"servers": [{"url": f"http://{b}"} for b in ctx.backends],
                                                      "healthCheck": {"path": "/healthz", "interval": "2s", "timeout": "1s"}}}
        dyn = {proto: {"routers": routers, "services": services}}
        if tls:
            dyn["tls"] = {"certificates": [{"certFile": f"{work}/cert.pem", "keyFile": f"{work}/key.pem"}]}
            if kind == "tls":
                dyn["tls"]["options"] = {"default": {"alpnProtocols": ["http/1.1"]}}
        self.write(work, {"traefik.yml": json.dumps(static), "traefik-dyn.yml": json.dumps(dyn)})
        return [str(self.binary), f"--configFile={work}/traefik.yml"]


class SimpleLB(Peer):
    name = "simplelb"
    kinds = frozenset({"http"})
    binary = PEER_HOME / "simplelb"
    note = "a simple balancer in Go as its article publishes it: Go's default transport, 2 idle connections per back end"
    without = frozenset({"wrk"})   # wrk leaves requests unfinished; simplelb then marks every back end down for two minutes

    def available(self):
        return self.binary.exists()

    def start_argv(self, kind, ctx, work):
        return [str(self.binary), "-port", str(ctx.port), "-backends", ",".join(f"http://{b}" for b in ctx.backends)]


class Pen(Peer):
    name = "pen"
    kinds = frozenset({"tcp"})
    root = SID

    def available(self):
        return (SID / "usr/bin/pen").exists()

    def version(self):   # it prints none itself: its package knows
        return self.wrap(["/usr/bin/dpkg-query", "-W", "-f", "${Package} ${Version}", "pen"])

    def start_argv(self, kind, ctx, work):
        self.write(work, {})
        return self.wrap(["/usr/bin/pen", "-f", "-r", "-x", str(MAXCONN), "-c", "1000", "-t", "5", f"127.0.0.1:{ctx.port}", *ctx.backends])


class Balance(Peer):
    """Inlab balance 3.54: one forked process per connection."""

    name = "balance"
    kinds = frozenset({"tcp"})
    binary = PEER_HOME / "balance"
    options: list[str] = []

    def available(self):
        return self.binary.exists()

    def start_argv(self, kind, ctx, work):
        return [str(self.binary), "-f", "-b", "127.0.0.1", *self.options, str(ctx.port), *ctx.backends]


class BalanceFm(Balance):
    """Last.fm's fork with monitoring."""

    name = "balance.fm"
    binary = PEER_HOME / "balance.fm"
    options = ["-M", "-a", "-m", "connect:interval=2"]


class Floor(Peer):
    name = "floor"
    kinds = frozenset({"tcp", "http"})
    note = "bench/floor/relay.c: bytes only, a lower limit and not a product"
    program = "relay"
    flags: list[str] = []

    def start_argv(self, kind, ctx, work):
        return [str(work / self.program), *self.flags, str(ctx.port), ",".join(ctx.backends)]


class FloorSplice(Floor):
    name = "floor-splice"
    flags = ["-s"]
    not_for = HAProxySplice.not_for


class FloorUring(Floor):
    """What an io_uring saves a relay; not in the standard run (docs/design/009)."""

    name = "floor-uring"
    program = "relay_uring"


class Fairlead(Peer):
    """This project, from the checkout's .venv or from wherever FAIRLEAD points."""

    name = "fairlead"
    kinds = frozenset({"http", "tcp", "many", "workers"})
    binary = Path(os.environ.get("FAIRLEAD", Path(__file__).resolve().parent.parent / ".venv/bin/fairlead"))

    def available(self):
        return self.binary.exists()

    def version(self):
        return [str(self.binary), "version"]

    def start_argv(self, kind, ctx, work):
        protocol = "tcp" if kind == "tcp" else "http"
        backends = ", ".join(json.dumps(b) for b in ctx.backends)
        check = 'type = "http"\npath = "/healthz"' if kind == "many" else 'type = "tcp"'
        idle = f'timeouts = {{ idle = "{ctx.idle_timeout}s" }}\n'
        text = [f"workers = {ctx.workers}\n[defaults.pools.check]\n{check}\ninterval = \"{ctx.check_interval}s\"\n"]
        for i in range(ctx.services):
            text.append(f'[listeners.l{i}]\nbind = "127.0.0.1:{ctx.port + i}"\nprotocol = "{protocol}"\npool = "p{i}"\n{idle}'
                        f"[pools.p{i}]\nbackends = [{backends}]\n")
        self.write(work, {"fairlead.toml": "".join(text)})
        return [str(self.binary), "run", f"{work}/fairlead.toml"]


class CommandPeer(Peer):
    """Any other balancer, from the command line: --add 'NAME:KIND,KIND=COMMAND'.

    In COMMAND: {kind} {port} {tls_port} {backends} (space-separated) {backends,} (comma-separated) {cert} {key} {work}.
    """

    def __init__(self, spec: str):
        head, self.command = spec.split("=", 1)
        self.name, _, kinds = head.partition(":")
        self.kinds = frozenset((kinds or "http").split(","))

    def start_argv(self, kind, ctx, work):
        text = self.command
        for key, value in {"{kind}": kind, "{port}": str(ctx.port), "{tls_port}": str(ctx.tls_port), "{backends}": " ".join(ctx.backends),
                           "{backends,}": ",".join(ctx.backends), "{cert}": f"{work}/cert.pem", "{key}": f"{work}/key.pem", "{work}": str(work)}.items():
            text = text.replace(key, value)
        return shlex.split(text)


ALL: dict[str, Peer] = {p.name: p for p in (Fairlead(), HAProxy(), HAProxySplice(), Nginx(), Envoy(), Caddy(), Traefik(), SimpleLB(), Pen(), Balance(), BalanceFm(), Floor(), FloorSplice(), FloorUring())}

SET_UP = ("haproxy", "nginx", "caddy", "pen", "envoy")
"""Whom packages have: setup_peers.sh sets them up."""

STANDARD = ("fairlead", "haproxy", "haproxy-splice", "nginx", "pen", "floor", "floor-splice")
"""Whom `make bench` measures beside fairlead, where they are installed: the best of each kind of work in results of all
(Envoy needs 4 times the CPU, Caddy 6 times), and the floors."""


def versions_of(chosen: list[Peer]) -> dict[str, str]:
    """What each says of itself, in one line; `?` of whoever says nothing, what it is if it has no version."""
    said = {}
    for peer in chosen:
        text = ""
        if peer.version():
            with contextlib.suppress(OSError):
                done = subprocess.run(peer.version(), capture_output=True, text=True, check=False)
                text = done.stdout + done.stderr if done.returncode == 0 else ""
            text = next((line for line in text.splitlines() if line.strip()), "?")
        # Where it lies is of no interest to others.
        said[peer.name] = (text or peer.note).strip().replace(f"{PEER_HOME}/", "")[:160]
    return said
