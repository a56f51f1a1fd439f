"""Pools, backends, checks, retries: their part of the schema (see `schema`)."""

from datetime import timedelta
from typing import Annotated, Final

import msgspec

from fairlead.config import spelling
from fairlead.config.form import (
    Choice,
    Duration,
    Many,
    Share,
    Size,
    Spelled,
    Statuses,
    Whole,
)
from fairlead.config.schema_backend import BACKEND, Backend
from fairlead.config.schema_keepalive import KEEPALIVE, Keepalive
from fairlead.config.table import Key, Table, Tables

__all__ = [
    "HASH_ON",
    "POLICIES",
    "POLICY",
    "POOL",
    "Check",
    "Group",
    "Outlier",
    "Pool",
    "PoolTimeouts",
    "Retry",
]

POLICIES: Final = (
    "round-robin",
    "random",
    "least-connections",
    "p2c",
    "peak-ewma",
    "hash",
    "first",
)


def _seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


POLICY: Final = Choice(
    "a policy",
    POLICIES,
    also=(spelling.is_named, '"module:attribute" for one in Python', spelling.NAMED),
)
HASH_ON: Final = Spelled(
    spelling.check_hash_on,
    '"source-ip", "path", "header:NAME" or "cookie:NAME"',
    pattern="^(source-ip|path|header:.+|cookie:.+)$",
)
_PATH = Spelled(spelling.check_path, 'a path such as "/v1/"', pattern="^/")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """How backends are probed. Checks never stop for lack of traffic."""

    type: Annotated[
        str,
        Key(
            Choice(
                "a type of check",
                ("tcp", "http", "command", "python", "none"),
                later=("grpc", "redis", "postgres", "mysql", "tls", "https"),
            ),
            'What a probe does: "tcp" connects; "http" sends a request and looks at the status; '
            '"command" runs a program; "python" calls a function; "none": only traffic tells.',
        ),
    ] = "tcp"
    path: Annotated[
        str,
        Key(_PATH, "Path and query of an http check's request."),
    ] = "/"
    method: Annotated[
        str,
        Key(Spelled(spelling.check_method, "a method"), "Method of an http check's request."),
    ] = "GET"
    host: Annotated[
        str | None,
        Key(
            Spelled(spelling.check_host, "a host"),
            "The `Host` of an http check's request.",
            default="the backend's address",
        ),
    ] = None
    expect_status: Annotated[
        tuple[tuple[int, int], ...],
        Key(
            Statuses(),
            "Statuses that pass an http check: ranges joined by commas.",
            why="A redirect to a login page is a sign of life, too.",
        ),
    ] = ((200, 399),)
    command: Annotated[
        str | None,
        Key(
            Spelled(spelling.check_command, "a shell command"),
            "What a command check runs, by `/bin/sh -c`, with FAIRLEAD_POOL, FAIRLEAD_BACKEND, "
            "FAIRLEAD_HOST and FAIRLEAD_PORT in its environment. It passes if the exit code is 0.",
            default="none",
        ),
    ] = None
    function: Annotated[
        str | None,
        Key(
            Spelled(spelling.check_named, "`module:attribute`, a function", pattern=spelling.NAMED),
            "What a python check calls, `module:attribute`, with a `fairlead.Probe`; plain or "
            "async. It passes if it returns true; false, a text with the reason, or an exception "
            "fails.",
            default="none",
        ),
    ] = None
    interval: Annotated[
        timedelta,
        Key(
            Duration(),
            "Between two probes of a backend that is not in doubt.",
            why="Traffic finds most failures sooner; this finds those of a silent night.",
        ),
    ] = _seconds(2)
    fast_interval: Annotated[
        timedelta | None,
        Key(
            Duration(),
            "Between two probes of a backend in doubt: suspect, or down for less than a minute.",
            default='"500ms", or `interval` if that is shorter',
        ),
    ] = None
    timeout: Annotated[
        timedelta,
        Key(Duration(), "For a whole probe, from the connect to the end of the response's head."),
    ] = _seconds(1)
    rise: Annotated[
        int,
        Key(Whole(1, 1000), "Passes in a row before a down backend is used again."),
    ] = 2
    fall: Annotated[
        int,
        Key(
            Whole(1, 1000),
            "Failures in a row before a healthy backend is down.",
            why="One lost packet is no reason; from the first failure on it is suspect, so "
            "others are picked first.",
        ),
    ] = 3

    @property
    def interval_in_doubt(self) -> timedelta:
        """``fast_interval``, or what holds without it."""
        return self.fast_interval or min(self.interval, timedelta(milliseconds=500))


class PoolTimeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for a backend."""

    connect: Annotated[
        timedelta,
        Key(
            Duration(),
            "For each attempt to connect. fairlead may give up on an attempt earlier, never later.",
        ),
    ] = _seconds(1)
    response: Annotated[
        timedelta,
        Key(
            Duration(),
            "From the last byte of the request until the response's head is whole; then 504.",
        ),
    ] = _seconds(30)
    idle: Annotated[
        timedelta,
        Key(
            Duration(),
            "Between two pieces of a response; then the client's connection is closed.",
        ),
    ] = _seconds(30)
    keepalive: Annotated[
        timedelta,
        Key(
            Duration(),
            "How long an idle kept connection to a backend may be used again.",
        ),
    ] = _seconds(60)


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent again. Only what may be: nothing of it was sent, or it is idempotent."""

    attempts: Annotated[
        int,
        Key(
            Whole(1, 64),
            "Backends tried for one request or connection, in all.",
            why="The third has seldom failed with the first two; each further one costs time.",
        ),
    ] = 3
    same_backend: Annotated[
        int,
        Key(
            Whole(1, 64),
            "Tries on one backend before the next.",
            why="Another backend is a better bet than the one that just failed.",
        ),
    ] = 1
    delay: Annotated[
        timedelta,
        Key(Duration(zero=True), "Between tries on the same backend."),
    ] = _seconds(0)
    hedge: Annotated[
        str,
        Key(
            Choice("a way to hedge", ("auto", "off")),
            '"auto" sends a late request that may be repeated to a second backend; the first '
            "answer wins.",
        ),
    ] = "auto"
    budget: Annotated[
        float,
        Key(
            Share(),
            "Hedges and retries of late requests, as a share of requests.",
            why="Enough to cover one frozen backend of fifty, too little to double anybody's load.",
        ),
    ] = 0.02
    hold: Annotated[
        timedelta,
        Key(
            Duration(zero=True),
            "How long a request or connection waits while the pool has nobody, or only backends "
            "that refuse; then it is answered 503.",
            why="An error at once is what most clients handle best. With a single backend that "
            'restarts, "10s" makes the restart invisible.',
        ),
    ] = _seconds(0)


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What one group of a pool has of its own."""

    group: Annotated[
        int,
        Key(Whole(0, 65_535), "Which group: the number that its backends have."),
    ]
    policy: Annotated[
        str,
        Key(
            Choice("a policy of a group", POLICIES),
            "How a backend of this group is picked; a policy in Python is for a whole pool.",
        ),
    ]


class Outlier(msgspec.Struct, frozen=True, kw_only=True):
    """Who is taken out because others answer better: errors, broken answers, slowness."""

    max_ejected: Annotated[
        float,
        Key(
            Share(),
            "Traffic alone takes nobody out while so much of its group is out, for whatever "
            'reason; "0%": it never does.',
            why="A bad deployment, or a database that everybody waits for, must not empty a pool. "
            "What a check finds has no such limit.",
        ),
    ] = 0.5
    latency: Annotated[
        str,
        Key(
            Choice("a way to judge latency", ("auto", "off")),
            '"auto" takes out one whose answers take much longer than the others\'; "off" where '
            "backends are slow by nature. Pools that hash are never judged by it.",
        ),
    ] = "auto"


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A set of interchangeable backends."""

    policy: Annotated[
        str,
        Key(
            POLICY,
            "How a backend is picked, for each connection (tcp) or request (http): by one of these "
            "names, or by a policy in Python, `module:attribute`.",
        ),
    ] = "round-robin"
    policy_timeout: Annotated[
        timedelta,
        Key(
            Duration(),
            "How long a request or connection waits for a policy in Python, over all its attempts; "
            "then `round-robin` picks.",
            why="Four times what Python takes to come to its turn beside a busy thread.",
        ),
    ] = timedelta(milliseconds=20)
    body_prefix: Annotated[
        int | None,
        Key(
            Size("1B", "32KiB", none=True),
            "So much of a request's body is waited for, up to a second, and shown to a policy in "
            "Python.",
            default='"none"',
        ),
    ] = None
    hash_on: Annotated[
        str,
        Key(HASH_ON, "What policy `hash` looks at."),
    ] = "source-ip"
    hash_table: Annotated[
        str,
        Key(
            Choice("a table", ("maglev", "modulo", "fixed")),
            'How policy `hash` finds a backend: "maglev" moves few keys when backends come and '
            'go; "modulo" numbers the backends of a group, and the next in order stands in for '
            'one that is away; "fixed" does the same and lets nobody stand in but the next group.',
            why="With the others, adding one backend sends nearly everybody elsewhere.",
        ),
    ] = "maglev"
    groups: Annotated[
        tuple[Group, ...],
        Key(
            Tables(Table(Group, "a group")),
            "Groups with a policy of their own.",
            default="none",
        ),
    ] = ()
    backends: Annotated[
        tuple[Backend, ...],
        Key(
            Many(BACKEND, "backends", lone=False, least=1),
            'The backends, in order: texts ("app1:8000", "app2:8000*3" with a weight) or tables.',
        ),
    ]
    check: Annotated[
        Check,
        Key(Table(Check, "a check", later=("body", "headers")), "How backends are probed."),
    ] = Check()
    timeouts: Annotated[
        PoolTimeouts,
        Key(Table(PoolTimeouts, "a pool's timeouts"), "How long to wait for a backend."),
    ] = PoolTimeouts()
    retry: Annotated[
        Retry,
        Key(Table(Retry, "a pool's retries"), "What is sent again."),
    ] = Retry()
    outlier: Annotated[
        Outlier,
        Key(
            Table(
                Outlier,
                "a pool's outlier",
                later=("consecutive_5xx", "base_ejection_time", "max_ejection_time"),
            ),
            "Who is taken out because others answer better.",
        ),
    ] = Outlier()
    slow_start: Annotated[
        timedelta,
        Key(
            Duration(zero=True),
            "A backend that comes back, or is new in a running pool, begins with a fifth of its "
            'share, which grows to all of it in this time; "0s" for no slow start.',
            why="Long enough for a process to compile and to fill its caches, too short to be "
            "missed; whoever is alone gets everything at once.",
        ),
    ] = _seconds(10)
    source: Annotated[
        str | None,
        Key(
            Spelled(spelling.check_source, "an IP address of this machine"),
            "Source address of connections to backends, those of tcp and http checks included.",
            default="the system chooses",
        ),
    ] = None
    proxy_protocol: Annotated[
        str | None,
        Key(
            Choice("a version", ("v1", "v2")),
            "Whether backends are told the client's address by a PROXY header at the beginning of each "
            "connection: a line of text (`v1`) or binary (`v2`). Checks say that they are fairlead's own.",
            default="no PROXY header",
            why="Who does not expect it takes it for rubbish. On http no connection is kept for the "
            "next request then, as a header speaks for all of it; `X-Forwarded-For` tells the same "
            "and costs nothing.",
        ),
    ] = None
    tcp_keepalive: Annotated[
        Keepalive | None,
        Key(
            KEEPALIVE,
            "How silent backends are probed by the kernel.",
            default="after 30 s, every 10 s, three times",
        ),
    ] = None


POOL: Final = Table(Pool, "a pool", later=("discovery", "tls"))
