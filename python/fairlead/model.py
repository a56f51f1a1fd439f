"""What a running fairlead says of itself, as values: status, pools, backends.

Frozen views on the JSON that the engine and the control socket speak; they are made from it and
never written back. Nothing is decided here. A field that a newer fairlead adds is left out, one
that an older fairlead lacks has its empty value, so that a client of another version can read on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How much came per second.

    Attributes:
        last_second: Over the last second.
        last_10_seconds: Over the last ten.
        last_minute: Over the last sixty. What is younger has its rate over its life so far.
    """

    last_second: float = 0.0
    last_10_seconds: float = 0.0
    last_minute: float = 0.0

    @classmethod
    def from_json(cls, row: Json | None) -> Rate:
        """Read ``{"1s": …, "10s": …, "60s": …}``."""
        row = row or {}
        return cls(row.get("1s", 0.0), row.get("10s", 0.0), row.get("60s", 0.0))


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast the counters of a listener, pool, group or backend grow.

    Attributes:
        requests: Requests (http) or connections (tcp) per second.
        failures: Those that ended badly; what clients did wrong is not among them.
        bytes_in: Bytes per second received: from clients at a listener, else from backends.
        bytes_out: Bytes per second sent: to clients at a listener, else to backends.
    """

    requests: Rate = Rate()
    failures: Rate = Rate()
    bytes_in: Rate = Rate()
    bytes_out: Rate = Rate()

    @classmethod
    def from_json(cls, row: Json | None) -> Rates:
        """Read a status' ``rates``."""
        row = row or {}
        kinds = ("requests", "failures", "bytes_in", "bytes_out")
        return cls(*(Rate.from_json(row.get(kind)) for kind in kinds))


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles of the latest some ten thousand answers, in milliseconds, within 12 %.

    Each is ``None`` before the first answer.

    Attributes:
        p50: Half of them were faster.
        p90: One in ten was slower.
        p99: One in a hundred was slower.
        p999: One in a thousand was slower.
    """

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p999: float | None = None

    @classmethod
    def from_json(cls, row: Json | None) -> Latency:
        """Read a status' ``latency_ms`` or ``duration_ms``."""
        row = row or {}
        return cls(row.get("p50"), row.get("p90"), row.get("p99"), row.get("p999"))


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a backend's health, or of what the operator wants of it.

    Attributes:
        time: When.
        before: A health (``healthy``, …) or a state (``enabled``, …).
        after: The same afterwards.
        why: The evidence; ``asked for`` if an operator did it.
    """

    time: datetime | None
    before: str
    after: str
    why: str

    @classmethod
    def from_json(cls, row: Json) -> Change:
        """Read one element of a backend's ``history``."""
        return cls(
            time=time_of(row.get("time")),
            before=row.get("from", ""),
            after=row.get("to", ""),
            why=row.get("why", ""),
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """What backends did together: of a pool or of a group, over the backends that it has now.

    Attributes:
        available: Backends that may get new traffic.
        active: Requests (http) or connections (tcp) in flight.
        requests: Answered.
        failures: Attempts that failed; most of them cost no client anything.
        failures_by_reason: The same by the reason's code; only those that occurred.
        bytes_in: Bytes received from them.
        bytes_out: Bytes sent to them.
        rates: How fast these grow.
        latency_ms: Time to the answer's head (tcp: of the connect).
    """

    available: int = 0
    active: int = 0
    requests: int = 0
    failures: int = 0
    failures_by_reason: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    rates: Rates = Rates()
    latency_ms: Latency = Latency()

    @classmethod
    def from_json(cls, row: Json) -> Totals:
        """Read what stands at a pool, or at one of its groups."""
        return cls(
            available=row.get("available", 0),
            active=row.get("active", 0),
            requests=row.get("requests", 0),
            failures=row.get("failures", 0),
            failures_by_reason=dict(row.get("failures_by_reason") or {}),
            bytes_in=row.get("bytes_in", 0),
            bytes_out=row.get("bytes_out", 0),
            rates=Rates.from_json(row.get("rates")),
            latency_ms=Latency.from_json(row.get("latency_ms")),
        )


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend of a pool, at one moment.

    Attributes:
        pool: Name of its pool.
        address: As configured; its identity within the pool.
        group: 0 first; a higher one takes traffic while the lower have nobody available.
        weight: 0 to 256; 0 gets no new traffic.
        state: What the operator wants: ``enabled``, ``draining``, ``disabled``.
        health: What fairlead believes: ``healthy``, ``suspect``, ``down``, ``unknown``.
        reason: Why its health is what it is; empty before the first change.
        since: When its health changed last.
        active: Requests (http) or connections (tcp) in flight to it.
        requests: Requests (http) or connections (tcp) that it answered.
        failures: Attempts that failed; most of them cost no client anything.
        failures_by_reason: The same by the reason's code; only those that occurred.
        bytes_in: Bytes received from it.
        bytes_out: Bytes sent to it.
        checks_passed: Checks that passed.
        checks_failed: Checks that failed.
        rates: How fast these grow.
        latency_ms: Time to the answer's head (tcp: of the connect).
        history: Its last eight changes, oldest first.
    """

    pool: str
    address: str
    group: int
    weight: int
    state: str
    health: str
    reason: str
    since: datetime | None
    active: int
    requests: int
    failures: int
    failures_by_reason: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    checks_passed: int = 0
    checks_failed: int = 0
    rates: Rates = Rates()
    latency_ms: Latency = Latency()
    history: tuple[Change, ...] = ()

    @property
    def available(self) -> bool:
        """Whether it may get new traffic: enabled, not down, with a weight."""
        return self.state == "enabled" and self.health != "down" and self.weight > 0

    @classmethod
    def from_json(cls, pool: str, row: Json) -> Backend:
        """Read one row of a pool's ``backends``."""
        return cls(
            pool=pool,
            address=row["address"],
            group=row.get("group", 0),
            weight=row.get("weight", 1),
            state=row.get("state", "enabled"),
            health=row.get("health", "unknown"),
            reason=row.get("reason") or "",
            since=time_of(row.get("since")),
            active=row.get("active", 0),
            requests=row.get("requests", 0),
            failures=row.get("failures", 0),
            failures_by_reason=dict(row.get("failures_by_reason") or {}),
            bytes_in=row.get("bytes_in", 0),
            bytes_out=row.get("bytes_out", 0),
            checks_passed=row.get("checks_passed", 0),
            checks_failed=row.get("checks_failed", 0),
            rates=Rates.from_json(row.get("rates")),
            latency_ms=Latency.from_json(row.get("latency_ms")),
            history=tuple(Change.from_json(each) for each in row.get("history") or ()),
        )


@dataclass(frozen=True, slots=True)
class PythonPolicy:
    """How a pool's policy in Python does.

    Attributes:
        fallback: What picks where it does not.
        picks: Whether it is asked about each request; ``steps["policy_decisions"]`` of the pool
            says what came of that.
        waiting: Requests that wait for it, those that it is at among them.
        scores: Rounds of scores that it made.
        score_failures: Rounds that it failed, or that lapsed.
        scored: Whether scores of its are in force.
        stuck: Whether it has been at one call for a second or more.
        trouble: What was last wrong with it, or empty.
    """

    fallback: str
    picks: bool
    waiting: int
    scores: int
    score_failures: int
    scored: bool
    stuck: bool
    trouble: str

    @classmethod
    def from_json(cls, row: Json) -> PythonPolicy:
        """Read ``python`` of a pool."""
        return cls(
            fallback=row.get("fallback", ""),
            picks=row.get("picks", False),
            waiting=row.get("waiting", 0),
            scores=row.get("scores", 0),
            score_failures=row.get("score_failures", 0),
            scored=row.get("scored", False),
            stuck=row.get("stuck", False),
            trouble=row.get("trouble") or "",
        )


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool and its backends, in the configuration's order.

    Attributes:
        name: As configured.
        policy: How it picks.
        backends: Its backends.
        totals: What they did together.
        groups: The same by group.
        group_policies: How each group picks: as the pool, unless it has a policy of its own.
        retries_by_reason: Tries that followed a failed one, by the code of the failure's reason.
        steps: What else kept failures from clients, by kind and result:
            ``steps["hedges"]["won"]``.
        budget_tokens: How many late requests may be sent twice now.
        python: How its policy in Python does, if it has one.
    """

    name: str
    policy: str
    backends: tuple[Backend, ...]
    totals: Totals = Totals()
    groups: dict[int, Totals] = field(default_factory=dict)
    group_policies: dict[int, str] = field(default_factory=dict)
    retries_by_reason: dict[str, int] = field(default_factory=dict)
    steps: dict[str, dict[str, int]] = field(default_factory=dict)
    budget_tokens: float = 0.0
    python: PythonPolicy | None = None

    @classmethod
    def from_json(cls, row: Json) -> Pool:
        """Read one element of a status' ``pools``."""
        steps = row.get("steps") or {}
        groups = row.get("groups") or ()
        policy = row.get("policy", "")
        return cls(
            name=row["name"],
            policy=policy,
            backends=tuple(
                Backend.from_json(row["name"], each) for each in row.get("backends", ())
            ),
            totals=Totals.from_json(row),
            groups={each["group"]: Totals.from_json(each) for each in groups},
            group_policies={each["group"]: each.get("policy", policy) for each in groups},
            retries_by_reason=dict(row.get("retries_by_reason") or {}),
            steps={family: dict(results) for family, results in steps.items()},
            budget_tokens=row.get("budget_tokens", 0.0),
            python=PythonPolicy.from_json(row["python"]) if row.get("python") else None,
        )

    def backend(self, address: str) -> Backend | None:
        """The backend of this address."""
        return next((each for each in self.backends if each.address == address), None)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener and its counters.

    Attributes:
        name: As configured.
        bind: Where it really listens, with the port that the system chose for port 0.
        protocol: ``http`` or ``tcp``.
        connections_active: Client connections open now.
        connections_total: Client connections accepted so far.
        requests_total: Requests (http) so far.
        codes: How many answers of each status code.
        reasons: How many requests or connections ended for which reason of fairlead's own.
        bytes_in: Bytes received from clients.
        bytes_out: Bytes sent to clients.
        rates: How fast these grow.
        duration_ms: From the whole head of a request to the end of its answer; nothing on tcp.
    """

    name: str
    bind: tuple[str, ...]
    protocol: str
    connections_active: int
    connections_total: int
    requests_total: int
    codes: dict[str, int]
    reasons: dict[str, int]
    bytes_in: int = 0
    bytes_out: int = 0
    rates: Rates = Rates()
    duration_ms: Latency = Latency()

    @classmethod
    def from_json(cls, row: Json) -> Listener:
        """Read one element of a status' ``listeners``."""
        return cls(
            name=row["name"],
            bind=tuple(row.get("bind", ())),
            protocol=row.get("protocol", "http"),
            connections_active=row.get("connections_active", 0),
            connections_total=row.get("connections_total", 0),
            requests_total=row.get("requests_total", 0),
            codes=dict(row.get("codes") or {}),
            reasons=dict(row.get("reasons") or {}),
            bytes_in=row.get("bytes_in", 0),
            bytes_out=row.get("bytes_out", 0),
            rates=Rates.from_json(row.get("rates")),
            duration_ms=Latency.from_json(row.get("duration_ms")),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """Everything about a running fairlead at one moment.

    Attributes:
        time: The moment.
        uptime_seconds: How long the engine has been there.
        workers: Threads that move bytes.
        listeners: In the configuration's order.
        pools: In the configuration's order.
        access_log_lines: Lines of the access log that were written.
        access_log_lost: Lines that were lost, because a disk was full or nobody read them.
    """

    time: datetime | None
    uptime_seconds: float
    workers: int
    listeners: tuple[Listener, ...]
    pools: tuple[Pool, ...]
    access_log_lines: int = 0
    access_log_lost: int = 0

    @classmethod
    def from_json(cls, status: Json) -> Status:
        """Read what ``GET /v1/status`` answers."""
        log = status.get("access_log") or {}
        return cls(
            time=time_of(status.get("time")),
            uptime_seconds=status.get("uptime_seconds", 0.0),
            workers=status.get("workers", 0),
            listeners=tuple(Listener.from_json(row) for row in status.get("listeners", ())),
            pools=tuple(Pool.from_json(row) for row in status.get("pools", ())),
            access_log_lines=log.get("lines", 0),
            access_log_lost=log.get("lost", 0),
        )

    def listener(self, name: str) -> Listener | None:
        """The listener of this name."""
        return next((each for each in self.listeners if each.name == name), None)

    def pool(self, name: str) -> Pool | None:
        """The pool of this name."""
        return next((pool for pool in self.pools if pool.name == name), None)


def time_of(text: str | None) -> datetime | None:
    """Read an RFC 3339 time; ``None`` for none and for what is no time."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
