"""The channels of a running instance: what `show` shows and what commands change.

One object knows which backend of the pool each channel is, counts from its last `reset`, and
turns every change into another layout for the control loop. A channel that was given another
address (`assign`) is another backend from then on; the one that it was stays in the plan,
disabled, for as long as it has connections, so that they are counted where they belong.

Counters, states and health are the engine's; nothing is kept here twice. Not here: the words of
commands (`shell`), checks (`monitor`).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from fairlead.compat.layout import GROUP_PARKED, NAME, Layout, Place, Shape
from fairlead.compat.monitor import Target
from fairlead.compat.port import parse_port
from fairlead.errors import ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from fairlead.compat.channels import Group
    from fairlead.config.loaded import LoadedConfig
    from fairlead.control.running import Running

__all__ = ["Counts", "Row", "Table", "first_shape"]


class Counts(NamedTuple):
    """What is counted of a channel."""

    total: int = 0
    sent: int = 0
    received: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*map(sum, zip(self, other, strict=True)))

    def minus(self, other: Counts) -> Counts:
        """What came since."""
        return Counts(*(now - then for now, then in zip(self, other, strict=True)))


class Row(NamedTuple):
    """A channel at this moment; see `shell.Row`."""

    group: int
    hashed: bool
    number: int
    state: str
    address: str
    port: int
    active: int
    total: int
    maxc: int
    sent: int
    received: int
    name: str
    down: bool


@dataclass(slots=True)
class _Channel:
    """A channel and the backends that it is and was."""

    place: Place
    parked: list[Place] = field(default_factory=list)
    # Taken from the counters (`reset`), and added to them (backends that are gone).
    base: Counts = field(default_factory=Counts)
    gone: Counts = field(default_factory=Counts)
    # Disabled by a failure and not by hand, and to stay so.
    latched: bool = False


def first_shape(groups: Sequence[Group]) -> Shape:
    """The shape of a command line's channels, by group and number.

    Args:
        groups: As typed. One address may stand there twice.
    """
    places: list[Place] = []
    for index, group in enumerate(groups):
        for channel in group.channels:
            name = _free_name(channel.host, channel.port, (place.name for place in places))
            place = Place(name, channel.host, channel.port, index, channel.maxc)
            places.append(place)
    hashed = frozenset(index for index, group in enumerate(groups) if group.hashed)
    return Shape(tuple(places), hashed)


def _free_name(host: str, port: int, taken: Iterator[str]) -> str:
    """`host:port`, or with a number behind it if that is another channel's already."""
    plain = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    names = set(taken)
    number = 1
    while (name := plain if number == 1 else f"{plain}#{number}") in names:
        number += 1
    return name


class Table:
    """The channels. Used in the event loop's thread."""

    def __init__(
        self,
        running: Running,
        change: Callable[[Callable[[LoadedConfig], LoadedConfig]], Awaitable[None]],
    ) -> None:
        """Take over what runs.

        Args:
            running: The engine, with a `Layout` in force.
            change: Makes another layout the one in force.
        """
        self.soft = False
        """Whether channels are shown as `dis` while they fail: there is `-a` or `-m`."""
        self._running = running
        self._change = change
        self._lock = asyncio.Lock()
        # Only what is in force: a change waits for names to be resolved, others ask meanwhile.
        self._groups: dict[int, list[_Channel]] = {}
        for place in self.layout.shape.places:
            self._groups.setdefault(place.group, []).append(_Channel(place))

    @property
    def layout(self) -> Layout:
        """What is in force."""
        loaded = self._running.loaded
        assert isinstance(loaded, Layout), "an instance of balance has no other configuration"
        return loaded

    # -- what there is ----------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """All channels now, by group and number."""
        told = self._told()
        return [
            self._row(group, number, channel, told) for group, number, channel in self._channels()
        ]

    def count(self, group: int) -> int:
        """How many channels a group has."""
        return len(self._groups.get(group, ()))

    def find(self, name: str) -> Row | None:
        """The channel that a backend of the pool is, if it is one."""
        return next((row for row in self.rows() if row.name == name), None)

    # -- what commands change ---------------------------------------------------------------

    async def enable(self, group: int, number: int) -> bool:
        """Enable, and forget its failures; whether it was not enabled."""
        channel = self._groups[group][number]
        if self._state(channel, self._told()[channel.place.name]) == "ENA":
            return False
        self._enable(channel)
        return True

    async def disable(self, group: int, number: int) -> bool:
        """Disable by hand; whether it was not."""
        channel = self._groups[group][number]
        if self._state(channel, self._told()[channel.place.name]) == "DIS":
            return False
        channel.latched = False
        self._running.set_backend(NAME, channel.place.name, "disabled", None)
        return True

    async def create(self, group: int, host: str, port: str) -> bool:
        """Add a channel, disabled; whether the address is one."""
        async with self._lock:
            place = self._new_place(group, host, port, 0)
            if place is None:
                return False
            try:
                await self._use(self._shape(more=(place,)))
            except ConfigErrors:
                return False
            self._groups.setdefault(group, []).append(_Channel(place))
            return True

    async def assign(self, group: int, number: int, host: str, port: str) -> bool:
        """Give another address; whether it is one."""
        async with self._lock:
            channel = self._groups[group][number]
            before = channel.place
            after = self._new_place(group, host, port, before.maxc)
            if after is None:
                return False
            parked = before._replace(group=GROUP_PARKED, enabled=False)
            try:
                await self._use(self._shape({before.name: (after, parked)}))
            except ConfigErrors:
                return False
            channel.place = after
            channel.parked.append(parked)
            # What was left goes at once if nobody is connected there.
            await self._use(self._shape())
            return True

    async def set_hashed(self, group: int, *, hashed: bool) -> None:
        """Change a group's type."""
        async with self._lock:
            shape = self._shape()
            others = shape.hashed - {group}
            await self._use(shape._replace(hashed=others | {group} if hashed else others))

    async def set_maxc(self, group: int, number: int, maxc: int) -> None:
        """Change a limit."""
        async with self._lock:
            channel = self._groups[group][number]
            place = channel.place._replace(maxc=maxc)
            await self._use(self._shape({place.name: (place,)}))
            channel.place = place

    def reset(self, group: int, number: int) -> None:
        """Count from 0."""
        channel = self._groups[group][number]
        channel.base = self._counts(channel, self._told())

    async def close(self) -> None:
        """Listen no more; what is under way goes on."""
        async with self._lock:
            await self._use(self._shape()._replace(listens=False))

    # -- what failures change ---------------------------------------------------------------

    def latch(self, name: str) -> None:
        """Keep a channel that has failed out of use until it is enabled."""
        for _, _, channel in self._channels():
            if channel.place.name == name and not channel.latched:
                channel.latched = True
                self._running.set_backend(NAME, name, "disabled", None)

    def release(self, name: str) -> None:
        """Use a channel again, as its checks pass.

        What checks took out has come back by that already. What traffic took out would wait for a
        trial, which makes no sense to somebody who looks at an idle instance.
        """
        told = self._told()
        for _, _, channel in self._channels():
            if channel.place.name != name:
                continue
            by_traffic = told[name]["health"] == "down" and told[name]["reason"].startswith("tr")
            if channel.latched or by_traffic:
                self._enable(channel)

    def targets(self) -> list[Target]:
        """The channels that nobody has disabled by hand, for monitoring."""
        return [
            Target(row.name, tuple(self.layout.addresses(row.name)), row.down)
            for row in self.rows()
            if row.state != "DIS"
        ]

    # -- inside -----------------------------------------------------------------------------

    def _channels(self) -> Iterator[tuple[int, int, _Channel]]:
        for group in sorted(self._groups):
            for number, channel in enumerate(self._groups[group]):
                yield group, number, channel

    def _told(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each backend."""
        status = json.loads(self._running.engine.status())
        return {backend["address"]: backend for backend in status["pools"][0]["backends"]}

    def _row(
        self, group: int, number: int, channel: _Channel, told: dict[str, dict[str, Any]]
    ) -> Row:
        name = channel.place.name
        address, port = self.layout.addresses(name)[0]
        counts = self._counts(channel, told).minus(channel.base)
        everywhere = [channel.place, *channel.parked]
        return Row(
            group=group,
            hashed=group in self.layout.shape.hashed,
            number=number,
            state=self._state(channel, told[name]),
            address=address,
            port=port,
            active=sum(told[place.name]["active"] for place in everywhere if place.name in told),
            total=counts.total,
            maxc=channel.place.maxc,
            sent=counts.sent,
            received=counts.received,
            name=name,
            down=channel.latched or told[name]["health"] == "down",
        )

    def _state(self, channel: _Channel, told: dict[str, Any]) -> str:
        if channel.latched:
            return "dis"
        if told["state"] != "enabled":
            return "DIS"
        return "dis" if self.soft and told["health"] == "down" else "ENA"

    def _counts(self, channel: _Channel, told: dict[str, dict[str, Any]]) -> Counts:
        counts = channel.gone
        for place in (channel.place, *channel.parked):
            if place.name in told:
                counts = counts.plus(_counts(told[place.name]))
        return counts

    def _enable(self, channel: _Channel) -> None:
        channel.latched = False
        self._running.set_backend(NAME, channel.place.name, "enabled", None)
        self._running.engine.forget_health(NAME, channel.place.name)

    def _new_place(self, group: int, host: str, port: str, maxc: int) -> Place | None:
        plain, colon, own = host.partition(":")
        if colon and own and ":" not in own:
            # `create host:port port`: the host's own port counts, as in balance.
            host, port = plain, own
        number = parse_port(port)
        host = host.removeprefix("[").removesuffix("]")
        if number is None or not host or not host.isprintable() or set(host) & set(" /"):
            return None
        everywhere = (
            place.name
            for _, _, channel in self._channels()
            for place in (channel.place, *channel.parked)
        )
        name = _free_name(host, number, everywhere)
        return Place(name, host, number, group, maxc, enabled=False)

    def _shape(
        self, swapped: Mapping[str, tuple[Place, ...]] | None = None, more: tuple[Place, ...] = ()
    ) -> Shape:
        """What is in force now, but for places that others stand in for, by name, or follow."""
        self._forget_ended()
        places: list[Place] = []
        for _, _, channel in self._channels():
            place = channel.place
            places += [*(swapped or {}).get(place.name, (place,)), *channel.parked]
        by_group = sorted((*places, *more), key=lambda place: place.group)
        return self.layout.shape._replace(places=tuple(by_group))

    async def _use(self, shape: Shape) -> None:
        """Put another shape in force; what goes wrong changes nothing."""

        def change(loaded: LoadedConfig) -> LoadedConfig:
            assert isinstance(loaded, Layout), "an instance of balance has no other configuration"
            return loaded.change(shape)

        await self._change(change)

    def _forget_ended(self) -> None:
        """Let go of addresses that channels have left, once nobody is connected there."""
        told = self._told()
        for _, _, channel in self._channels():
            for place in list(channel.parked):
                if place.name in told and not told[place.name]["active"]:
                    channel.gone = channel.gone.plus(_counts(told[place.name]))
                    channel.parked.remove(place)


def _counts(backend: dict[str, Any]) -> Counts:
    return Counts(backend["attempts"], sent=backend["bytes_out"], received=backend["bytes_in"])
