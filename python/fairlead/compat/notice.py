"""What an instance tells its operator: syslog, as balance does, with what it left out.

balance told of channels that `-a` had disabled, and balance.fm told nobody what its monitoring
did. Here every change of a channel between in and out is told, under the name `Balance`. Not
here: the events themselves (the engine), `fairlead events`, which shows them all.
"""

from __future__ import annotations

import syslog
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Channel", "Notices", "open_log"]


class Channel(NamedTuple):
    """Which channel something is told of."""

    group: int
    number: int
    address: str
    port: int


def open_log() -> Callable[[str], None]:
    """Open the system's log; where there is none, nothing is told."""
    syslog.openlog("Balance", syslog.LOG_PID, syslog.LOG_DAEMON)
    return lambda line: syslog.syslog(syslog.LOG_NOTICE, line)


class Notices:
    """Turns changes of health into lines."""

    def __init__(self, tell: Callable[[str], None], *, autodisable: bool) -> None:
        """Nothing is told before something changes.

        Args:
            tell: Writes a line.
            autodisable: `-a` is on: a failed connect takes a channel out.
        """
        self._tell = tell
        self._autodisable = autodisable

    def changed(
        self, channel: Channel, before: str, after: str, why: str, *, stays: bool = False
    ) -> None:
        """A channel's health has changed.

        Args:
            channel: Which.
            before: What it was.
            after: What it is.
            why: In the engine's words.
            stays: It is out until somebody enables it.
        """
        who = f"group {channel.group} channel {channel.number}"
        where = f"{channel.address}:{channel.port}"
        if after == "down":
            if self._autodisable and why.startswith("traffic"):
                self._tell(f"connection failed {who}")
            if stays:
                self._tell(f"{where} needs to be enabled manually using balance -i")
            self._tell(f"{who} ({where}) is out: {why}")
        elif before == "down":
            self._tell(f"{who} ({where}) is back: {why}")
