"""What the demo's clients saw, added up: requests, errors, latencies.

Bounded for a demo that runs for days: latencies are counted in buckets five per cent wide, those
of the last five seconds are kept as they are.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import chain

_WIDTH = math.log(1.05)
_WINDOW_SECONDS = 5.0
_ERRORS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Batch:
    """What one message of the clients tells.

    Attributes:
        latencies_ms: Of requests answered well, from sending to the last byte of the answer.
        errors: One text for each request that was not.
        by_backend: How many answers came from whom.
    """

    latencies_ms: list[float]
    errors: list[str]
    by_backend: dict[str, int]


@dataclass(slots=True)
class Tally:
    """The sum so far."""

    requests: int = 0
    errors: int = 0
    slowest_ms: float = 0.0
    error_texts: deque[str] = field(default_factory=lambda: deque(maxlen=_ERRORS_KEPT))
    by_backend: Counter[str] = field(default_factory=Counter)
    _buckets: Counter[int] = field(default_factory=Counter)
    _recent: deque[tuple[float, Batch]] = field(default_factory=deque)

    def add(self, batch: Batch, now: float) -> None:
        """Add what came at `now` (seconds of any steady clock)."""
        self.requests += len(batch.latencies_ms) + len(batch.errors)
        self.errors += len(batch.errors)
        self.error_texts.extend(batch.errors)
        self.by_backend.update(batch.by_backend)
        self.slowest_ms = max(chain((self.slowest_ms,), batch.latencies_ms))
        self._buckets.update(_bucket(latency) for latency in batch.latencies_ms)
        self._recent.append((now, batch))
        while self._recent and self._recent[0][0] < now - _WINDOW_SECONDS:
            self._recent.popleft()

    def percentile_ms(self, share: float) -> float:
        """The latency that this share of all requests stayed below; 0 before the first.

        >>> tally = Tally()
        >>> tally.add(Batch([1.0] * 99 + [500.0], [], {}), now=0)
        >>> round(tally.percentile_ms(0.5), 1), round(tally.percentile_ms(1.0), -2)
        (1.0, 500.0)
        """
        wanted = share * self._buckets.total()
        seen = 0
        for bucket, count in sorted(self._buckets.items()):
            seen += count
            if seen >= wanted:
                return math.exp((bucket + 0.5) * _WIDTH)
        return 0.0

    def recent_percentile_ms(self, share: float) -> float:
        """The same for the last five seconds."""
        latencies = sorted(chain.from_iterable(batch.latencies_ms for _, batch in self._recent))
        if not latencies:
            return 0.0
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))]

    def recent_rate(self) -> float:
        """Requests per second in the last five seconds."""
        if len(self._recent) < 2:
            return 0.0
        # The first batch tells what happened before its time, so it counts for the span only.
        span = self._recent[-1][0] - self._recent[0][0]
        batches = [batch for _, batch in list(self._recent)[1:]]
        count = sum(len(batch.latencies_ms) + len(batch.errors) for batch in batches)
        return count / span if span else 0.0

    def recent_shares(self) -> dict[str, float]:
        """Who gave which share of the answers in the last five seconds."""
        counts: Counter[str] = Counter()
        for _, batch in self._recent:
            counts.update(batch.by_backend)
        total = counts.total()
        return {name: count / total for name, count in counts.items()} if total else {}


def _bucket(latency_ms: float) -> int:
    return math.floor(math.log(max(latency_ms, 0.001)) / _WIDTH)
