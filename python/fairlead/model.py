"""What a running fairlead says of itself, as values: status, pools, backends, events.

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
        requests: Attempts made on it since it is known.
        failures: Attempts that failed; most of them cost no client anything.
        latency_ms_p50: Median time to the response head, ``None`` before the first answer.
        latency_ms_p99: The same that 99 of 100 stayed below.
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
    latency_ms_p50: float | None
    latency_ms_p99: float | None

    @property
    def available(self) -> bool:
        """Whether it may get new traffic: enabled, not down, with a weight."""
        return self.state == "enabled" and self.health != "down" and self.weight > 0

    @classmethod
    def from_json(cls, pool: str, row: Json) -> Backend:
        """Read one row of a pool's ``backends``."""
        latency = row.get("latency_ms") or {}
        return cls(
            pool=pool,
            address=row["address"],
            group=row.get("group", 0),
            weight=row.get("weight", 1),
            state=row.get("state", "enabled"),
            health=row.get("health", "unknown"),
            reason=row.get("reason") or "",
            since=_time(row.get("since")),
            active=row.get("active", 0),
            requests=row.get("requests", 0),
            failures=row.get("failures", 0),
            latency_ms_p50=latency.get("p50"),
            latency_ms_p99=latency.get("p99"),
        )


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool and its backends, in the configuration's order."""

    name: str
    policy: str
    backends: tuple[Backend, ...]

    @classmethod
    def from_json(cls, row: Json) -> Pool:
        """Read one element of a status' ``pools``."""
        backends = tuple(Backend.from_json(row["name"], each) for each in row.get("backends", ()))
        return cls(row["name"], row.get("policy", ""), backends)


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
    """

    name: str
    bind: tuple[str, ...]
    protocol: str
    connections_active: int
    connections_total: int
    requests_total: int
    codes: dict[str, int]
    reasons: dict[str, int]

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
        )


@dataclass(frozen=True, slots=True)
class Status:
    """Everything about a running fairlead at one moment."""

    time: datetime | None
    uptime_seconds: float
    workers: int
    listeners: tuple[Listener, ...]
    pools: tuple[Pool, ...]

    @classmethod
    def from_json(cls, status: Json) -> Status:
        """Read what ``GET /v1/status`` answers."""
        return cls(
            time=_time(status.get("time")),
            uptime_seconds=status.get("uptime_seconds", 0.0),
            workers=status.get("workers", 0),
            listeners=tuple(Listener.from_json(row) for row in status.get("listeners", ())),
            pools=tuple(Pool.from_json(row) for row in status.get("pools", ())),
        )

    def pool(self, name: str) -> Pool | None:
        """The pool of this name."""
        return next((pool for pool in self.pools if pool.name == name), None)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        id: Counts up from 1 in each process; 0 when unknown.
        time: When.
        kind: ``health``, ``wish``, ``applied``, ``accepting``, ``access_log``, ``panic`` (the
            engine's);
            ``resolved``, ``unresolved``, ``reload_failed``, ``stopping``, ``lost`` (control's).
        pool: The pool it is about, or empty.
        backend: The backend it is about, or empty.
        detail: All other fields.
    """

    id: int
    time: datetime | None
    kind: str
    pool: str
    backend: str
    detail: Json = field(default_factory=dict)

    @classmethod
    def from_json(cls, event: Json) -> Event:
        """Read one event of ``/v1/events``."""
        known = ("id", "time", "event", "pool", "backend")
        detail = {key: value for key, value in event.items() if key not in known}
        return cls(
            id=event.get("id", 0),
            time=_time(event.get("time")),
            kind=event.get("event", ""),
            pool=event.get("pool", ""),
            backend=event.get("backend", ""),
            detail=detail,
        )

    @property
    def text(self) -> str:
        """The event in one line for people, without its time.

        >>> Event.from_json({"event": "health", "pool": "app", "backend": "10.0.0.1:80",
        ...     "from": "healthy", "to": "suspect", "why": "check: connect refused"}).text
        'pool app backend 10.0.0.1:80 healthy -> suspect: check: connect refused'
        """
        pausing = self.kind == "accepting" and not self.detail.get("accepting")
        words = _WORDS.get("accepting no more" if pausing else self.kind)
        fields = {"pool": self.pool, "backend": self.backend, **self.detail}
        if words is None:
            known = (f"{key} {value}" for key, value in fields.items() if value != "")
            return " ".join((self.kind or "event", *known))
        return words.format_map(_Lenient(fields))


_WORDS = {
    "health": "pool {pool} backend {backend} {from} -> {to}: {why}",
    "wish": "pool {pool} backend {backend} {what}",
    "applied": "configuration in force: {listeners} listeners, {pools} pools, {backends} backends",
    "accepting": "listener {listener} accepts connections again: {why}",
    "accepting no more": "listener {listener} leaves new connections waiting: {why}",
    "access_log": "access log: {why}; lines lost: {lost}",
    "panic": "worker {worker} caught a panic, one connection lost: {what}",
    "resolved": "pool {pool} backend {backend} is at {what}",
    "unresolved": "{name} does not resolve, its last good addresses stay in use: {why}",
    "reload_failed": "reload failed, the old configuration stays in force: {why}",
    "stopping": "stopping: {why}",
    "lost": "{count} events were lost: they came faster than they were read",
}


class _Lenient(dict[str, Any]):
    """Fields of an event; one that is missing reads as a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"


def _time(text: str | None) -> datetime | None:
    """Read an RFC 3339 time; ``None`` for none and for what is no time."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
