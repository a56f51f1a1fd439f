"""Monitoring (`-m`): which channels are checked when, and what a result means.

Rounds begin an interval apart; one that is late is left out, not made up for. Only channels that
a result could change are checked. One that is in doubt (it has failed, or passed while it was
out, but not often enough in a row) is checked again soon, and so is one that traffic has just
failed at: how long a failure stays unseen must not be the interval times `fall`.

What was seen is reported to the engine, whose tracker changes health. Where one failed connect of
traffic is enough (`-a`), the tracker is told of failed checks only once there were `fall` in a
row. Not here: a spec's grammar (`spec`), running commands (`fairlead.health.command`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
from typing import TYPE_CHECKING, NamedTuple, Protocol

from fairlead.compat.layout import NAME
from fairlead.compat.spec import Command, Connect
from fairlead.health.command import CommandCheck, run
from fairlead.health.report import Result, report_to

if TYPE_CHECKING:
    from fairlead.compat.spec import Monitoring
    from fairlead.health.report import Report

__all__ = ["Channels", "Monitor", "Target", "fill_in"]

_AT_ONCE = 64
_SOON_SECONDS = 1.0
_OURS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL))


class Target(NamedTuple):
    """A channel to check.

    Attributes:
        name: Its identity in the pool.
        addresses: Where it is, best first.
        down: Whether it is out for its failures.
    """

    name: str
    addresses: tuple[tuple[str, int], ...]
    down: bool


class Channels(Protocol):
    """Who is checked, and who is told."""

    def targets(self) -> list[Target]:
        """The channels that nobody has disabled by hand."""

    def release(self, name: str) -> None:
        """Use a channel again, as it is well."""


class Monitor:
    """Checks channels for as long as it runs."""

    def __init__(
        self,
        monitoring: Monitoring,
        channels: Channels,
        report: Report,
        *,
        source: str | None,
        hold_back: bool,
    ) -> None:
        """Nothing is checked before `run`.

        Args:
            monitoring: What is checked, and when.
            channels: Who is checked.
            report: Hands results to the engine.
            source: Checks connect from this address, as traffic does.
            hold_back: Report failures only once there were `fall` in a row.
        """
        self.enabled = True
        self._monitoring = monitoring
        self._channels = channels
        self._report = report
        self._source = source
        self._fall = monitoring.fall if hold_back else 1
        self._failures: dict[str, int] = {}
        self._passes: dict[str, int] = {}
        self._urgent: set[str] = set()
        self._news = asyncio.Event()
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def look_at(self, name: str) -> None:
        """Check a channel at once: traffic has trouble with it."""
        self._urgent.add(name)
        self._news.set()

    async def run(self) -> None:
        """Check for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            now = loop.time()
            everybody = now >= due
            self._news.clear()
            if self.enabled:
                await self._round(everybody=everybody)
            else:
                self._urgent.clear()
            if everybody:
                passed = (loop.time() - due) // self._monitoring.interval_seconds + 1
                due += passed * self._monitoring.interval_seconds
            pause = due - loop.time()
            if self._in_doubt():
                pause = min(pause, self._monitoring.interval_seconds, _SOON_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(pause, 0.0)):
                    await self._news.wait()

    async def _round(self, *, everybody: bool) -> None:
        doubtful = self._in_doubt() | self._urgent
        self._urgent.clear()
        targets = [target for target in self._channels.targets() if self._matters(target)]
        known = {target.name for target in targets}
        for counts in (self._failures, self._passes):
            for name in counts.keys() - known:
                del counts[name]
        await asyncio.gather(
            *(self._check(target) for target in targets if everybody or target.name in doubtful)
        )

    def _matters(self, target: Target) -> bool:
        """Whether a result could change anything."""
        return self._monitoring.enable if target.down else self._monitoring.disable

    def _in_doubt(self) -> set[str]:
        """Channels whose last results are not enough yet."""
        failing = {
            name for name, count in self._failures.items() if 0 < count < self._monitoring.fall
        }
        passing = {
            name for name, count in self._passes.items() if 0 < count < self._monitoring.rise
        }
        return failing | passing

    async def _check(self, target: Target) -> None:
        async with self._turn:
            result = await self._result(target)
        if result is None:
            return
        name = target.name
        self._failures[name] = 0 if result.passed else self._failures.get(name, 0) + 1
        # Passes count for those that are out; for the others they are the normal state.
        self._passes[name] = self._passes.get(name, 0) + 1 if result.passed and target.down else 0
        if not result.passed and not target.down and self._failures[name] < self._fall:
            return
        report_to(self._report, NAME, name, result)
        if self._passes[name] >= self._monitoring.rise:
            self._channels.release(name)

    async def _result(self, target: Target) -> Result | None:
        """Do the actions in order; the first that doesn't pass decides."""
        result: Result | None = None
        for action in self._monitoring.actions:
            if isinstance(action, Connect):
                result = await self._connect(target, action)
            else:
                result = await self._run(target, action)
            if result is None or not result.passed:
                break
        return result

    async def _connect(self, target: Target, action: Connect) -> Result | None:
        result: Result | None = None
        for address in target.addresses:
            result = await connect(address, action.timeout_seconds, self._source)
            if result is None or result.passed:
                break
        return result

    async def _run(self, target: Target, action: Command) -> Result | None:
        host, port = target.addresses[0]
        check = CommandCheck(
            pool=NAME,
            backend=target.name,
            name=host,
            port=str(port),
            command=fill_in(action.line, host, port),
            interval_seconds=0,
            fast_interval_seconds=0,
            timeout_seconds=action.timeout_seconds,
            rise=1,
            codes=action.codes,
        )
        return await run(check)


async def connect(
    address: tuple[str, int], timeout_seconds: float, source: str | None
) -> Result | None:
    """Connect, and close again.

    Returns:
        What was seen; `None` if it couldn't be tried for a lack of our own.
    """
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
            if source is not None and (":" in source) == (":" in host):
                connection.bind((source, 0))
            async with asyncio.timeout(timeout_seconds):
                await asyncio.get_running_loop().sock_connect(connection, (host, port))
    except TimeoutError:
        return Result(passed=False, what=f"no answer to the connect within {timeout_seconds:g} s")
    except OSError as error:
        if error.errno in _OURS:
            return None
        # Not its own words, which name the address once more.
        return Result(passed=False, what=os.strerror(error.errno or 0).lower())
    return Result(passed=True, what="connected")


def fill_in(line: str, host: str, port: int) -> str:
    """A command with its address and port.

    >>> fill_in("check -s %H -p %P 100%%", "10.0.0.1", 25)
    'check -s 10.0.0.1 -p 25 100%'
    """
    # %S is what balance.fm's usage said, %H what its code did.
    values = {"%": "%", "H": host, "S": host, "P": str(port)}
    return re.sub("%([%HSP])", lambda found: values[found[1]], line)
