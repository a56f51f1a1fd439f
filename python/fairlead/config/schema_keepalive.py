"""TCP keepalive: its part of the schema (see `schema`), the same for listeners and pools.

The kernel counts whole seconds and has bounds of its own, so they are checked here. What holds
without the table is the engine's (`crates/fairlead-engine/src/sys/socket.rs`).
"""

from datetime import timedelta
from typing import Annotated, Final

import msgspec

from fairlead.config.form import Duration, Path, Reading, Whole
from fairlead.config.table import Key, Table
from fairlead.config.tree import Node
from fairlead.errors import ConfigError

__all__ = ["KEEPALIVE", "Keepalive"]

# MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL of Linux; probes are bounded by MAX_TCP_KEEPCNT.
_LONGEST = timedelta(seconds=32_767)
_SECOND = timedelta(seconds=1)


class _Seconds(Duration):
    """A duration that the kernel can count."""

    def read(self, node: Node, reading: Reading, path: Path) -> timedelta:
        """The duration: whole seconds, within the kernel's bounds."""
        value = super().read(node, reading, path)
        if value % _SECOND or not _SECOND <= value <= _LONGEST:
            found = f"`{node.value}` is not a time that the kernel counts"
            expected = 'whole seconds, "1s" to "32767s"'
            raise ConfigError("value.range", found, expected, node.place)
        return value


class Keepalive(msgspec.Struct, frozen=True, kw_only=True):
    """How the kernel finds out whether a silent connection still has another end."""

    idle: Annotated[
        timedelta,
        Key(_Seconds(), "Silence before the first probe. Whole seconds."),
    ] = timedelta(seconds=30)
    interval: Annotated[
        timedelta,
        Key(_Seconds(), "Between two probes. Whole seconds."),
    ] = timedelta(seconds=10)
    probes: Annotated[
        int,
        Key(
            Whole(1, 127),
            "Unanswered probes that end the connection.",
            why="With the other two: a host that is gone is noticed within a minute.",
        ),
    ] = 3


KEEPALIVE: Final = Table(Keepalive, "the keepalive")
