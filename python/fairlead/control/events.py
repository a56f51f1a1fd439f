"""Events: the last 1,000 of them, and everybody who wants to hear of new ones.

One ring serves all. Each event gets a number; a subscriber is a place in the numbering and a
function that wakes it, so that a thousand subscribers cost no memory and a slow one delays
nobody: when it comes back too late the ring has moved on, and it is told how many it missed.

Not here: where events come from (the engine; reload, discovery), how they are written to people
(`fairlead.event.Event.text`) or to a socket (`api`).
"""

from __future__ import annotations

import json
from collections import Counter, deque
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from fairlead.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = 1_000
"""So many events are kept for those who ask later."""


class EventLog:
    """The ring. One thread owns it; events are JSON objects as bytes, each with its ``id``.

    Attributes:
        last_id: Of the latest event; 0 before the first.
        counts: How many there were of each kind.
    """

    def __init__(self, kept: int = KEPT) -> None:
        """Start empty.

        Args:
            kept: How many events are kept.
        """
        self._ring: deque[bytes] = deque(maxlen=kept)
        self._subscriptions: list[Subscription] = []
        self.last_id = 0
        self.counts: Counter[str] = Counter()

    def add(self, event: bytes, kind: str = "other") -> None:
        """Keep an event of the engine's: a JSON object that has its time already."""
        self.counts[kind] += 1
        self.last_id += 1
        self._ring.append(b'{"id":%d,' % self.last_id + event.lstrip()[1:])
        for subscription in self._subscriptions:
            subscription.wake()

    def tell(self, kind: str, **fields: Any) -> Event:
        """Keep an event of control's own; the same as a value."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"event": kind, "time": time, **fields}
        self.add(json.dumps(event, separators=(",", ":")).encode(), kind)
        return Event.from_json({"id": self.last_id, **event})

    def after(self, event_id: int) -> tuple[list[bytes], int]:
        """What is kept of the events after this one, and how many are no longer kept.

        >>> log = EventLog(kept=2)
        >>> for kind in "abc": log.add(b'{"event":"%s"}' % kind.encode())
        >>> log.after(0)
        ([b'{"id":2,"event":"b"}', b'{"id":3,"event":"c"}'], 1)
        >>> log.after(3)
        ([], 0)
        """
        wanted = self.last_id - event_id
        if wanted <= 0:
            return [], 0
        lost = max(0, wanted - len(self._ring))
        start = len(self._ring) - (wanted - lost)
        return list(islice(self._ring, start, None)), lost

    def subscribe(self, wake: Callable[[], None], *, after: int | None = None) -> Subscription:
        """Hear of new events.

        Args:
            wake: Called after each event, in the thread that owns the log; must not block.
            after: Begin after this event; ``None`` begins with the next one.
        """
        place = self.last_id if after is None else after
        subscription = Subscription(self, wake, place)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """End a subscription; ending it twice is fine."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)


class Subscription:
    """One reader's place in the events."""

    def __init__(self, log: EventLog, wake: Callable[[], None], place: int) -> None:
        """Made by `EventLog.subscribe`."""
        self.wake = wake
        self._log = log
        # A number from an earlier process can lie ahead of everything that happened here.
        self._place = min(place, log.last_id)

    def take(self) -> list[bytes]:
        """What came since the last call; first of all, if any were missed, how many."""
        events, lost = self._log.after(self._place)
        self._place = self._log.last_id
        if lost:
            events.insert(0, b'{"event":"lost","count":%d}' % lost)
        return events

    def close(self) -> None:
        """Hear no more."""
        self._log.forget(self)
