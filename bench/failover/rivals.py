"""How each balancer is set up before hosts that break: `sensible` and `tuned`.

Sensible is each project's defaults, or what its documentation's examples use. Tuned is the best
that could be found for clients with a patience of 1 s: connects and answers bounded by some
hundred milliseconds, retries on everything, checks twice a second. (That bound for answers is only
usable where every answer is quick.) fairlead runs with its defaults, and has no tuned form.
"""
from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import ADDRESS, NAME, PORT

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
from gather import product  # noqa: E402
from peers import SID  # noqa: E402

HTTP = ["fairlead", "haproxy", "nginx", "envoy", "caddy"]
TCP = ["fairlead-tcp", "haproxy-tcp", "nginx-stream", "envoy-tcp", "pen"]
OTHERS = ["traefik", "simplelb", "balance", "balance.fm"]
ALL = HTTP + TCP + OTHERS


def is_tcp(peer: str) -> bool:
    return "tcp" in peer or peer in ("nginx-stream", "pen", "balance", "balance.fm")


@dataclass(frozen=True)
class Site:
    """What is balanced: where to listen, which hosts in which groups, where files may be put."""

    port: int
    tag: str
    work: Path
    groups: tuple[str, ...] = ("AB",)
    named: bool = False

    def backend(self, host: str) -> str:
        return f"{NAME if self.named and host == 'B' else ADDRESS[host]}:{PORT}"

    @property
    def backends(self) -> list[str]:
        return [self.backend(host) for group in self.groups for host in group]

    @property
    def words(self) -> list[str]:
        """As fairlead's and balance's command lines take them."""
        words: list[str] = []
        for number, group in enumerate(self.groups):
            words += ["!"] * (number > 0) + [self.backend(host) for host in group]
        return words


def haproxy(site: Site, tuned: bool, tcp: bool) -> str:
    out = ["global", "  nbthread 1", "  maxconn 4000", "defaults",
           f"  mode {'tcp' if tcp else 'http'}",
           f"  timeout connect {'250ms' if tuned else '5s'}", "  timeout client 30s",
           f"  timeout server {'400ms' if tuned and not tcp else '30s'}", "  retries 3",
           f"  option redispatch{' 1' if tuned else ''}"]
    if tuned and not tcp:
        out.append("  retry-on conn-failure empty-response junk-response response-timeout"
                   " 500 502 503 504")
    out += ["frontend f", f"  bind 127.0.0.1:{site.port}", "  default_backend b", "backend b",
            "  balance roundrobin"]
    if not tcp:
        out.append("  option httpchk GET /healthz")
    extra = "check inter 2s fall 3 rise 2"
    if tuned:
        out.append("  timeout check 250ms")
        extra = ("check inter 500ms fastinter 200ms downinter 500ms fall 2 rise 2 observe "
                 f"{'layer4' if tcp else 'layer7'} error-limit 3 on-error mark-down")
    if site.named:
        # The holds are HAProxy's own defaults, but `valid`: 10 s there, 1 s tuned.
        extra += " resolvers names resolve-prefer ipv4 init-addr last,libc,none"
        out += ["resolvers names", "  nameserver one 127.0.0.1:53",
                f"  hold valid {'1s' if tuned else '10s'}"]
        servers = [f"  server s{i} {b} {extra}" for i, b in enumerate(site.backends)]
        at = out.index("resolvers names")
        return "\n".join(out[:at] + servers + out[at:]) + "\n"
    return "\n".join(out + [f"  server s{i} {b} {extra}" for i, b in enumerate(site.backends)]) + "\n"


def nginx(site: Site, tuned: bool, tcp: bool) -> str:
    knobs = "max_fails=2 fail_timeout=5s" if tuned else ""
    follow = "resolve" if site.named else ""
    servers = "".join(f"server {backend} {knobs} {follow if not backend[0].isdigit() else ''};"
                      for backend in site.backends)
    zone = "zone b 64k; resolver 127.0.0.1 ipv6=off;" if site.named else ""
    load = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n" if tcp else ""
    head = (f"{load}daemon off; worker_processes 1; error_log stderr crit; "
            f"pid /bench/{site.tag}.pid; events {{ worker_connections 4000; }}\n")
    connect = "250ms" if tuned else "5s"
    if tcp:
        return head + (f"stream {{ upstream b {{ {zone} {servers} }} "
                       f"server {{ listen 127.0.0.1:{site.port}; "
                       f"proxy_connect_timeout {connect}; proxy_pass b; }} }}\n")
    extra = ("proxy_read_timeout 400ms; proxy_next_upstream error timeout invalid_header "
             "http_500 http_502 http_503 http_504; proxy_next_upstream_tries 3;") if tuned else ""
    return head + (f"http {{ access_log off; upstream b {{ {zone} {servers} keepalive 64; }} "
                   f"server {{ listen 127.0.0.1:{site.port}; location / {{ proxy_pass http://b; "
                   "proxy_http_version 1.1; proxy_set_header Connection \"\"; "
                   f"proxy_connect_timeout {connect}; {extra} }} }} }}\n")


def envoy(site: Site, tuned: bool, tcp: bool) -> str:
    kind = "type.googleapis.com/envoy.extensions."
    if tcp:
        chain = {"name": "envoy.filters.network.tcp_proxy", "typed_config": {
            "@type": kind + "filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t",
            "cluster": "b", "max_connect_attempts": 3}}
    else:
        retry = {
            "retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 3,
            "retry_host_predicate": [{
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": kind + "retry.host.previous_hosts.v3"
                                                 ".PreviousHostsPredicate"}}],
            "host_selection_retry_max_attempts": 3}
        if tuned:
            retry |= {"retry_on": "5xx,reset,connect-failure,refused-stream",
                      "per_try_timeout": "0.3s",
                      "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"}}
        route = {"cluster": "b", "timeout": "15s", "retry_policy": retry}
        chain = {"name": "envoy.filters.network.http_connection_manager", "typed_config": {
            "@type": kind + "filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "h",
            "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": route}]}]},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                "@type": kind + "filters.http.router.v3.Router"}}]}}
    pause = "0.5s" if tuned else "2s"
    check = {"timeout": "0.25s" if tuned else "1s", "interval": pause,
             "no_traffic_interval": pause, "unhealthy_threshold": 2 if tuned else 3,
             "healthy_threshold": 2}
    check["tcp_health_check" if tcp else "http_health_check"] = {} if tcp else {"path": "/healthz"}

    def end(backend: str) -> dict:
        host, _, port = backend.rpartition(":")
        return {"endpoint": {"address": {"socket_address": {
            "address": host, "port_value": int(port)}}}}

    cluster = {
        "name": "b", "type": "STRICT_DNS" if site.named else "STATIC",
        "dns_lookup_family": "V4_ONLY",
        "connect_timeout": "0.25s" if tuned else "5s", "lb_policy": "ROUND_ROBIN",
        "health_checks": [check],
        "outlier_detection": {
            "consecutive_5xx": 3, "consecutive_gateway_failure": 2,
            "enforcing_consecutive_gateway_failure": 100, "interval": "0.5s",
            "base_ejection_time": "3s", "max_ejection_percent": 100} if tuned else {},
        # By default no more than 3 retries may be under way at a time: too few for one dead host
        # out of two.
        "circuit_breakers": {"thresholds": [{"max_retries": 1000}]} if tuned else {},
        "common_lb_config": {"healthy_panic_threshold": {"value": 0 if tuned else 50}},
        "load_assignment": {"cluster_name": "b", "endpoints": [
            {"lb_endpoints": [end(backend) for backend in site.backends]}]}}
    if site.named and tuned:
        cluster["dns_refresh_rate"] = "1s"
    return json.dumps({"static_resources": {
        "listeners": [{"name": "l", "address": {"socket_address": {
            "address": "127.0.0.1", "port_value": site.port}},
            "filter_chains": [{"filters": [chain]}]}],
        "clusters": [cluster]}})


def caddy(site: Site, tuned: bool) -> str:
    if tuned:
        knobs = ["health_interval 500ms", "health_timeout 250ms", "health_fails 2",
                 "health_passes 2", "fail_duration 3s", "max_fails 1", "unhealthy_status 5xx",
                 "unhealthy_latency 400ms", "lb_try_duration 900ms", "lb_try_interval 20ms",
                 "transport http {", "\tdial_timeout 250ms", "\tresponse_header_timeout 400ms", "}"]
    else:
        knobs = ["health_interval 2s", "health_timeout 1s", "health_fails 3", "health_passes 2",
                 "fail_duration 10s", "lb_try_duration 5s"]
    body = "\n".join("\t\t" + knob for knob in ["lb_policy round_robin", "health_uri /healthz",
                                               *knobs])
    return ("{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tlog {\n\t\tlevel ERROR\n\t}"
            f"\n}}\nhttp://:{site.port} {{\n\tbind 127.0.0.1\n"
            f"\treverse_proxy {' '.join(site.backends)} {{\n{body}\n\t}}\n}}\n")


def traefik(site: Site, tuned: bool) -> list[str]:
    service = {"loadBalancer": {
        "servers": [{"url": f"http://{backend}"} for backend in site.backends],
        "healthCheck": {"path": "/healthz", "interval": "500ms" if tuned else "2s",
                        "timeout": "250ms" if tuned else "1s"}}}
    dynamic = {"http": {
        "routers": {"r": {"entryPoints": ["e"], "service": "s", "rule": "PathPrefix(`/`)",
                          "middlewares": ["retry"]}},
        "services": {"s": service},
        "middlewares": {"retry": {"retry": {"attempts": 3, "initialInterval": "10ms"}}}}}
    rules, static = site.work / f"{site.tag}-rules.yml", site.work / f"{site.tag}.yml"
    whole = {"global": {"checkNewVersion": False, "sendAnonymousUsage": False},
             "log": {"level": "ERROR"},
             "entryPoints": {"e": {"address": f"127.0.0.1:{site.port}"}},
             "providers": {"file": {"filename": str(rules)}}}
    if tuned:
        whole["serversTransport"] = {"forwardingTimeouts": {
            "dialTimeout": "250ms", "responseHeaderTimeout": "400ms"}}
    rules.write_text(json.dumps(dynamic))
    static.write_text(json.dumps(whole))
    return [str(peers.Traefik.binary), f"--configFile={static}"]


def command(peer: str, tuned: bool, site: Site, added: dict[str, str]) -> list[str] | None:
    """The command line of a balancer; None if it isn't here or has no such form."""
    port, binary = str(site.port), product(peer)
    if peer in added:
        text = added[peer]
        for key, value in {"{backends}": " ".join(site.backends),
                           "{backends,}": ",".join(site.backends), "{port}": port,
                           "{tuned}": "tuned" if tuned else "sensible",
                           "{work}": str(site.work)}.items():
            text = text.replace(key, value)
        return shlex.split(text)
    if binary == "fairlead":
        if tuned or not peers.Fairlead.binary.exists():
            return None
        kind, check = ("tcp", "tcp") if is_tcp(peer) else ("http", "/healthz")
        return [str(peers.Fairlead.binary), kind, f"127.0.0.1:{port}", *site.words,
                "--check", check]
    if len(site.groups) > 1:
        return None     # each has its own words for a backup; they are compared in one group
    inside = SID / "bench"
    if SID.exists():
        inside.mkdir(exist_ok=True)
        inside.chmod(0o777)
    chroot = ["chroot", str(SID)]
    if binary == "haproxy" and (SID / "usr/sbin/haproxy").exists():
        (inside / f"{site.tag}.cfg").write_text(haproxy(site, tuned, is_tcp(peer)))
        return [*chroot, "/usr/sbin/haproxy", "-db", "-f", f"/bench/{site.tag}.cfg"]
    if binary == "nginx" and (SID / "usr/sbin/nginx").exists():
        (inside / f"{site.tag}.conf").write_text(nginx(site, tuned, is_tcp(peer)))
        return [*chroot, "/usr/sbin/nginx", "-c", f"/bench/{site.tag}.conf"]
    if binary == "envoy" and peers.Envoy.binary.exists():
        file = site.work / f"{site.tag}.json"
        file.write_text(envoy(site, tuned, is_tcp(peer)))
        return [str(peers.Envoy.binary), "-c", str(file), "--concurrency", "1",
                "--disable-hot-restart", "-l", "off"]
    if site.named:
        return None     # those below resolve names at their start only, or in forms of their own
    if binary == "caddy" and (SID / "usr/bin/caddy").exists():
        (inside / f"{site.tag}.caddy").write_text(caddy(site, tuned))
        return [*chroot, "/usr/bin/caddy", "run", "--config", f"/bench/{site.tag}.caddy",
                "--adapter", "caddyfile"]
    if peer == "traefik" and peers.Traefik.binary.exists():
        return traefik(site, tuned)
    if peer == "simplelb" and peers.SimpleLB.binary.exists() and not tuned:
        return [str(peers.SimpleLB.binary), "-port", port, "-backends",
                ",".join(f"http://{backend}" for backend in site.backends)]
    if peer == "pen" and (SID / "usr/bin/pen").exists():
        return [*chroot, "/usr/bin/pen", "-f", "-r", "-x", "4000", "-t", "1" if tuned else "5",
                "-b", "5" if tuned else "30", f"127.0.0.1:{port}", *site.backends]
    if peer in ("balance", "balance.fm"):
        there = {"balance": peers.Balance, "balance.fm": peers.BalanceFm}[peer].binary
        if not there.exists():
            return None
        knobs = ["-a"] if tuned else []
        if peer == "balance.fm":
            knobs = ["-M", "-a", "-m",
                     f"connect:interval={'1:timeout=0.5' if tuned else '2:timeout=1'}"]
        return [str(there), "-f", "-b", "127.0.0.1", *knobs, *(["-t", "1"] if tuned else []),
                port, *site.backends]
    return None


def wanted(chosen: str, short: bool) -> dict[str, peers.Peer]:
    """The rivals that a run is to have, of those whom packages have, by product: those that were
    chosen; of a short run none, else all.
    """
    names = chosen.split(",") if chosen else [] if short else HTTP + TCP
    return {product(name): peers.ALL[product(name)] for name in names
            if product(name) in peers.SET_UP}


def versions(chosen: list[str]) -> dict[str, str]:
    """What each says of itself, in one line."""
    products = sorted({product(peer) for peer in chosen} & set(peers.ALL))
    return peers.versions_of([peers.ALL[name] for name in products])
