"""What a fake backend saw: requests and counters, readable from any thread.

Bounded: the last 1,000 requests are kept, with at most 1 MiB of each body and 1,000 different
paths counted. Nothing is interpreted here; `connection` fills it in.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass

_REQUESTS_KEPT = 1_000
_PATHS_COUNTED = 1_000

BODY_KEPT_BYTES = 1 << 20
"""So much of a request's body is kept; the rest is read and counted only."""


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it arrived.

    Attributes:
        connection: Number of the connection that it came on, from 1.
        method: For example ``GET``.
        target: The request target, query included.
        headers: Name (lower case) and value, in order, duplicates kept.
        body: The first MiB of the body, decoded from chunks.
        body_bytes: Length of the whole body.
        raw_head: The head's bytes as they came, blank line included.
    """

    connection: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    body_bytes: int
    raw_head: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The first value of this header, or ``None``."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), None)


class Seen:
    """Counters and the last requests. One thread writes, any may read."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._changed = threading.Condition()
        self._requests: deque[SeenRequest] = deque(maxlen=_REQUESTS_KEPT)
        self._by_path: Counter[str] = Counter()
        self._count = 0
        self.connections = 0
        self.open = 0
        self.bytes_in = 0
        self.garbled: list[str] = []

    def add_connection(self) -> int:
        """Count a connection; answers its number."""
        with self._changed:
            self.connections += 1
            self.open += 1
            self._changed.notify_all()
            return self.connections

    def end_connection(self) -> None:
        """Count a connection's end."""
        with self._changed:
            self.open -= 1
            self._changed.notify_all()

    def add_bytes(self, count: int) -> None:
        """Count bytes that arrived."""
        with self._changed:
            self.bytes_in += count
            self._changed.notify_all()

    def add_request(self, request: SeenRequest) -> None:
        """Keep a request."""
        with self._changed:
            self._count += 1
            self._requests.append(request)
            if request.path in self._by_path or len(self._by_path) < _PATHS_COUNTED:
                self._by_path[request.path] += 1
            self._changed.notify_all()

    def add_garbled(self, why: str) -> None:
        """Keep why something that arrived was not HTTP."""
        with self._changed:
            del self.garbled[:-100]
            self.garbled.append(why)
            self._changed.notify_all()

    def requests(self, path: str | None = None) -> list[SeenRequest]:
        """The last requests, oldest first; only those for `path` if given."""
        with self._changed:
            kept = list(self._requests)
        return kept if path is None else [request for request in kept if request.path == path]

    def hits(self, path: str | None = None) -> int:
        """How many requests came, in all or for `path` (without query)."""
        with self._changed:
            return self._count if path is None else self._by_path[path]

    def wait(
        self, *, hits: int, connections: int, path: str | None, timeout_seconds: float
    ) -> bool:
        """Wait until so many requests and connections were seen; false if the time ran out."""

        def enough() -> bool:
            count = self._count if path is None else self._by_path[path]
            return count >= hits and self.connections >= connections

        with self._changed:
            return self._changed.wait_for(enough, timeout_seconds)
