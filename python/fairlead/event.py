"""What happened in a running fairlead: one event as a value, and in one line for people.

Read leniently, as all that another version may have said (`model`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003  # for whoever reads its hints
from typing import Any

from fairlead.model import Json, time_of


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        id: Counts up from 1 in each process; 0 when unknown.
        time: When.
        kind: ``health``, ``wish``, ``chaos``, ``applied``, ``accepting``, ``holding``,
            ``full``, ``memory``, ``access_log``, ``policy``, ``panic`` (the engine's);
            ``resolved``, ``unresolved``, ``reload_failed``, ``check``, ``code_loaded``,
            ``code_failed``, ``stopping``, ``lost`` (control's).
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
            time=time_of(event.get("time")),
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
        # Of what begins and ends there is one kind of event, with a field of its own name.
        over = self.detail.get(self.kind) is False
        words = _WORDS.get(f"{self.kind} no more" if over else self.kind)
        fields = {"pool": self.pool, "backend": self.backend, **self.detail}
        if words is None:
            known = (f"{key} {value}" for key, value in fields.items() if value != "")
            return " ".join((self.kind or "event", *known))
        return words.format_map(_Lenient(fields))


_WORDS = {
    "health": "pool {pool} backend {backend} {from} -> {to}: {why}",
    "wish": "pool {pool} backend {backend} {what}",
    "chaos": "pool {pool} backend {backend} chaos: {what}",
    "policy": "pool {pool} policy {policy} {what}",
    "check": "pool {pool} check in Python {what}",
    "code_loaded": "`{name}` was loaded anew, because its file has changed",
    "code_failed": "a changed file of Python can't be used, the old one stays in force: {why}",
    "applied": (
        "configuration in force (listeners: {listeners}, pools: {pools}, backends: {backends})"
    ),
    "holding": "pool {pool} has nobody, requests wait: {why}",
    "holding no more": "pool {pool}: nobody waits any more: {why}",
    "accepting": "listener {listener} accepts connections again: {why}",
    "accepting no more": "listener {listener} leaves new connections waiting: {why}",
    "full": "listener {listener} turns new connections away: {why}",
    "memory": "memory is full, new requests are refused: {why}",
    "memory no more": "there is enough memory again: {why}",
    "full no more": "listener {listener} has room for new connections: {why}",
    "access_log": "access log: {why}; lines lost: {lost}",
    "panic": "worker {worker} caught a panic, one connection lost: {what}",
    "resolved": "pool {pool} backend {backend} is at {what}",
    "unresolved": "{name} does not resolve, its last good addresses stay in use: {why}",
    "reload_failed": "reload failed, the old configuration stays in force: {why}",
    "stopping": "stopping: {why}",
    "lost": "events were lost ({count}): they came faster than they were read",
}


class _Lenient(dict[str, Any]):
    """Fields of an event; one that is missing reads as a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"
