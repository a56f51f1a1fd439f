"""The plan: the resolved configuration as a value, comparable and hashable, and its JSON.

A mirror of the engine's own types (crates/fairlead-model/src/plan.rs and plan/), field by field; a
test compares the two. Durations are whole milliseconds, sizes bytes, pools are named by their index.
Nothing is decided here: `lower` makes plans, `compare` tells two apart.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "AccessLog",
    "AnyAddress",
    "BackendPlan",
    "Below",
    "Bind",
    "CheckPlan",
    "Cookie",
    "Endpoint",
    "Exact",
    "GroupPlan",
    "Header",
    "Http",
    "HttpCheck",
    "Inherited",
    "Keepalive",
    "ListenerPlan",
    "ListenerTimeouts",
    "Network",
    "Outlier",
    "Plan",
    "PoolPlan",
    "PoolTimeouts",
    "Prefix",
    "Python",
    "Regex",
    "Retry",
    "RoutePlan",
    "Tcp",
    "Unix",
]


class AnyAddress(msgspec.Struct, frozen=True):
    """A port on all addresses."""

    any: int


class Tcp(msgspec.Struct, frozen=True):
    """An address and port: ``127.0.0.1:80``, ``[::1]:80``."""

    tcp: str


class Unix(msgspec.Struct, frozen=True):
    """The path of a Unix socket."""

    unix: str


class Inherited(msgspec.Struct, frozen=True):
    """The name of a socket that fairlead is started with."""

    inherited: str


Bind = AnyAddress | Tcp | Unix | Inherited
Endpoint = Tcp | Unix


class Exact(msgspec.Struct, frozen=True):
    """This host, or this path."""

    exact: str


class Below(msgspec.Struct, frozen=True):
    """Hosts below this domain."""

    below: str


class Prefix(msgspec.Struct, frozen=True):
    """Paths that begin so."""

    prefix: str


class Regex(msgspec.Struct, frozen=True):
    """Paths in which this finds something."""

    regex: str


class Header(msgspec.Struct, frozen=True):
    """The value of this header is hashed."""

    header: str


class Cookie(msgspec.Struct, frozen=True):
    """The value of this cookie is hashed."""

    cookie: str


class RoutePlan(msgspec.Struct, frozen=True):
    """Which requests go to which pool."""

    host: Exact | Below | None
    path: Prefix | Exact | Regex | None
    methods: tuple[str, ...]
    headers: tuple[tuple[str, str | None], ...]
    pool: int


class ListenerTimeouts(msgspec.Struct, frozen=True):
    """How long to wait for a client."""

    head: int
    body: int
    idle: int
    tunnel: int


class Limits(msgspec.Struct, frozen=True):
    """How much of a client is too much."""

    head: int
    headers: int
    body: int | None
    connections: int
    target: int | None
    pipelined: int
    connections_per_client: int | None
    requests: int | None
    min_rate: int | None
    trailers: int
    trailer_bytes: int
    chunk_line: int
    chunk_excess: int


class Network(msgspec.Struct, frozen=True):
    """An address and how many of its bits count."""

    address: str
    prefix: int


class Keepalive(msgspec.Struct, frozen=True):
    """How silent connections are probed by the kernel."""

    idle: int
    interval: int
    probes: int


class ListenerPlan(msgspec.Struct, frozen=True):
    """An address that clients connect to."""

    name: str
    bind: tuple[Bind, ...]
    protocol: str
    pool: int | None
    routes: tuple[RoutePlan, ...]
    timeouts: ListenerTimeouts
    limits: Limits
    trusted_proxies: tuple[Network, ...]
    keepalive: Keepalive | None
    via: str | None
    proxy_protocol: bool


class BackendPlan(msgspec.Struct, frozen=True):
    """One backend, and where it is now."""

    address: str
    endpoints: tuple[Endpoint, ...]
    weight: int
    group: int
    max_connections: int | None
    state: str


class HttpCheck(msgspec.Struct, frozen=True):
    """What an http check sends and expects."""

    method: str
    path: str
    host: str | None
    expect_status: tuple[tuple[int, int], ...]


class Http(msgspec.Struct, frozen=True):
    """An http check. The other kinds are words: ``none``, ``tcp``, ``external``."""

    http: HttpCheck


class CheckPlan(msgspec.Struct, frozen=True):
    """How backends are probed."""

    kind: str | Http
    interval: int
    fast_interval: int
    timeout: int
    rise: int
    fall: int


class PoolTimeouts(msgspec.Struct, frozen=True):
    """How long to wait for a backend."""

    connect: int
    response: int
    idle: int
    keepalive: int


class Retry(msgspec.Struct, frozen=True):
    """What is sent again. The budget is in hundredths of a percent."""

    attempts: int
    same_backend: int
    delay: int
    hedge: bool
    budget: int
    hold: int


class GroupPlan(msgspec.Struct, frozen=True):
    """What one group has of its own."""

    group: int
    policy: str


class Outlier(msgspec.Struct, frozen=True):
    """Who is taken out because others answer better. The share is in hundredths of a percent."""

    max_ejected: int
    latency: bool


class Python(msgspec.Struct, frozen=True):
    """A policy in Python."""

    name: str
    timeout: int
    body_prefix: int


class PoolPlan(msgspec.Struct, frozen=True):
    """A set of interchangeable backends."""

    name: str
    policy: str
    python: Python | None
    hash_on: str | Header | Cookie
    hash_table: str
    groups: tuple[GroupPlan, ...]
    backends: tuple[BackendPlan, ...]
    check: CheckPlan
    timeouts: PoolTimeouts
    retry: Retry
    outlier: Outlier
    slow_start: int
    source: str | None
    keepalive: Keepalive | None
    proxy_protocol: str | None


class AccessLog(msgspec.Struct, frozen=True):
    """Where the access log goes, and how its lines look."""

    to: str
    format: str


class OverallLimits(msgspec.Struct, frozen=True):
    """How much is too much for the whole instance."""

    connections: int
    memory: int | None = None


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything the engine is to do."""

    listeners: tuple[ListenerPlan, ...]
    pools: tuple[PoolPlan, ...]
    shutdown_timeout: int
    access_log: AccessLog | None = None
    limits: OverallLimits | None = None

    def encode(self) -> bytes:
        """The plan as JSON, as ``Engine.apply`` takes it."""
        return msgspec.json.encode(self)
