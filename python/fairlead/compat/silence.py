"""What balance says when `-T` ends a connection that was silent: a line for each.

balance's process for that connection says so itself, on standard error in the foreground and to
syslog otherwise, and exits with 69. Here the engine ends it, and counts it under a reason of its
own; the count is looked at once a second, which costs the same whether one connection or a
thousand were ended. Not here: who ends them (the engine), where lines go (`stay`).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead.control.engine import Engine

__all__ = ["Silences"]

_LOOK_SECONDS = 1.0
_AT_ONCE = 100
_REASON = "client_idle"


class Silences:
    """Tells of connections that were ended for their silence."""

    def __init__(self, engine: Engine, idle_seconds: float, tell: Callable[[str], None]) -> None:
        """Nothing is told before the first `look`.

        Args:
            engine: Which counts them.
            idle_seconds: `-T`.
            tell: Writes a line.
        """
        self._engine = engine
        self._line = f"timed out after {idle_seconds:g} seconds"
        self._tell = tell
        self._told = 0

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Tell of those that came since the last look."""
        listeners = json.loads(self._engine.status())["listeners"]
        # After `kill` nobody listens, and nobody counts.
        count = sum(listener["reasons"].get(_REASON, 0) for listener in listeners)
        new, self._told = count - self._told, max(count, self._told)
        for _ in range(min(new, _AT_ONCE)):
            self._tell(self._line)
        if new > _AT_ONCE:
            self._tell(f"{self._line} ({new - _AT_ONCE:,} more)")
