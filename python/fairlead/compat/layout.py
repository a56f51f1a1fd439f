"""balance's arguments and channels to a configuration and its plan.

Everything is said in fairlead's own words (one tcp listener, one pool, groups with a policy), so
that the engine and every other command treats an instance of balance like any other. Two things
have no words there and are put into the plan itself: a channel's identity, because balance may
name one address twice, and checks that run outside of the engine.

Decides which option becomes what. Doesn't know what runs (`table`), nor what was typed
(`arguments`, `channels`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from fairlead.config import plan as plans
from fairlead.config.loaded import LoadedConfig, descriptors, memory
from fairlead.config.lower import lower, names
from fairlead.config.parse import Parsed
from fairlead.config.resolve import Answer, follow, system_resolver
from fairlead.config.schema import AccessLog, Config, Listener, ListenerTimeouts
from fairlead.config.schema_backend import Backend
from fairlead.config.schema_keepalive import Keepalive
from fairlead.config.schema_pool import Check, Group, Outlier, Pool, PoolTimeouts, Retry
from fairlead.config.units import Address
from fairlead.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.compat import arguments
    from fairlead.config.resolve import Resolver

__all__ = ["GROUP_PARKED", "NAME", "Layout", "Place", "Settings", "Shape"]

NAME = "balance"
"""What the listener and the pool are called, in events and for `fairlead status`."""

GROUP_PARKED = 1_000
"""A group beyond balance's own: for addresses that a channel has left and that still have
connections. They are disabled there."""

_NEVER = timedelta(days=36_500)
_ATTEMPTS_MAX = 64
_TRAFFIC_FALL = 3


class Place(NamedTuple):
    """A channel, or what is left of one, as the plan has it.

    Attributes:
        name: Its identity in the pool.
        host: Name or address.
        port: Its number.
        group: Its group's number.
        maxc: Connections at once; 0 is no limit.
        enabled: Whether it begins so.
    """

    name: str
    host: str
    port: int
    group: int
    maxc: int = 0
    enabled: bool = True


class Shape(NamedTuple):
    """What commands may change.

    Attributes:
        places: By group and number.
        hashed: The groups that go by hash.
        listens: Whether clients are let in; not after `kill`.
    """

    places: tuple[Place, ...]
    hashed: frozenset[int] = frozenset()
    listens: bool = True


class Settings(NamedTuple):
    """What stays as it was typed.

    Attributes:
        port: Where to listen.
        bind: At which address: an IP address, or `None` for all.
        arguments: The options.
        rise: Of the monitoring, if there is one: passes that bring a channel back.
        fall: Failures that take one out.
    """

    port: int
    bind: str | None
    arguments: arguments.Arguments
    rise: int | None = None
    fall: int | None = None


class Layout(LoadedConfig):
    """A shape and the plan that it makes here and now."""

    def __init__(
        self,
        settings: Settings,
        shape: Shape,
        *,
        known: Mapping[str, Answer] | None = None,
        resolver: Resolver = system_resolver,
        problems: Mapping[str, str] | None = None,
    ) -> None:
        """Make the plan; asks for names.

        Args:
            settings: What stays.
            shape: What is wanted now.
            known: What names have resolved to before.
            resolver: Asked for each name, in threads.
            problems: Why names that are known didn't resolve the last time; left out, they are
                asked for again, and keep what they had if they don't resolve.

        Raises:
            ConfigErrors: A name that has no address and never had one.
        """
        self.settings = settings
        self.shape = shape
        self.source = NAME
        self.config = _config(settings, shape)
        self.admin_token = None
        self._parsed = Parsed(self.config, {})
        self._resolver = resolver
        self._known, self.problems = follow(names(self.config), resolver, known or {}, problems)
        made = lower(self.config, self._known, descriptors(), memory=memory())
        self.value = _finished(made, settings, shape)
        self.plan = self.value.encode()

    def resolve(self) -> Layout:
        """Resolve all names again. A name that has gone keeps its addresses."""
        return Layout(
            self.settings,
            self.shape,
            known=self._known,
            resolver=self._resolver,
        )

    def change(self, shape: Shape) -> Layout:
        """Another shape in the place of this one.

        Raises:
            ConfigErrors: A new name has no address.
        """
        return Layout(
            self.settings,
            shape,
            known=self._known,
            resolver=self._resolver,
            problems=self.problems,
        )

    def with_config(self, config: Config) -> LoadedConfig:
        """No: channels are changed by the commands of `-c` and `-i`. Raises `ConfigErrors`."""
        del config
        raise _of_balance()

    def again(self, parsed: Parsed, source: str) -> LoadedConfig:
        """No: there is no other configuration than its command line. Raises `ConfigErrors`."""
        del parsed, source
        raise _of_balance()

    def listing(self) -> list[str]:
        """Each channel as `-d` lists them: group, number, address, port, limit."""
        lines = []
        numbers: dict[int, int] = {}
        for place in self.shape.places:
            number = numbers.get(place.group, 0)
            numbers[place.group] = number + 1
            address, port = self.addresses(place.name)[0]
            shown = f"[{address}]" if ":" in address else address
            lines.append(f"{place.group:3} {number:2} {shown}:{port}:{place.maxc}")
        return lines

    def addresses(self, name: str) -> list[tuple[str, int]]:
        """Where a place is, best first: IP address and port."""
        for backend in self.value.pools[0].backends:
            if backend.address == name:
                return [_split(point) for point in backend.endpoints]
        return []


def _of_balance() -> ConfigErrors:
    hint = "use `fairlead balance -c`, with create, assign, enable and disable"
    found = "this is an instance of `fairlead balance`"
    return ConfigErrors([ConfigError("balance", found, "one with a configuration", None, hint)])


def _split(endpoint: plans.Endpoint) -> tuple[str, int]:
    assert isinstance(endpoint, plans.Tcp), "channels have hosts"
    host, _, port = endpoint.tcp.rpartition(":")
    return host.strip("[]"), int(port)


def _config(settings: Settings, shape: Shape) -> Config:
    options = settings.arguments
    bind = str(Address(settings.bind, settings.port)) if settings.bind else f":{settings.port}"
    idle = timedelta(seconds=options.idle_seconds) if options.idle_seconds else _NEVER
    listener = Listener(
        bind=(bind,),
        protocol="tcp",
        pool=NAME,
        timeouts=ListenerTimeouts(idle=idle),
        tcp_keepalive=_keepalive(options.client_keepalive),
    )
    return Config(
        # After `kill` what is under way may last as long as it likes.
        shutdown_timeout=timedelta(seconds=30) if shape.listens else _NEVER,
        access_log=_access_log(options),
        listeners={NAME: listener} if shape.listens else {},
        pools={NAME: _pool(options, shape)},
    )


def _access_log(options: arguments.Arguments) -> AccessLog | None:
    if options.dump and options.foreground:
        return AccessLog(to="-", format="dump")
    return AccessLog(to="/dev/stderr") if options.debug and options.foreground else None


def _pool(options: arguments.Arguments, shape: Shape) -> Pool:
    groups = sorted({place.group for place in shape.places} & shape.hashed)
    return Pool(
        policy="round-robin",
        hash_table="modulo" if options.hash_failover else "fixed",
        groups=tuple(Group(group=group, policy="hash") for group in groups),
        backends=tuple(
            Backend(
                address=str(Address(place.host, place.port)),
                group=place.group,
                max_connections=place.maxc or None,
                state="enabled" if place.enabled else "disabled",
            )
            for place in shape.places
        ),
        # Whoever wants checks asks for them with -m: nobody else's hosts are connected to.
        check=Check(type="none"),
        timeouts=PoolTimeouts(connect=timedelta(seconds=options.connect_seconds)),
        retry=Retry(attempts=min(max(len(shape.places), 1), _ATTEMPTS_MAX), hedge="off"),
        # Whoever enables a channel finds it in turn with the next connection, and an answer that is
        # slower than others' takes nobody out who didn't ask for more than connects.
        slow_start=timedelta(0),
        # Who did, with -a, means every channel, though it be the last.
        outlier=Outlier(max_ejected=1.0 if options.autodisable else 0.5, latency="off"),
        source=options.source,
        tcp_keepalive=_keepalive(options.channel_keepalive),
    )


def _keepalive(keepalive: arguments.Keepalive | None) -> Keepalive | None:
    if keepalive is None:
        return None
    return Keepalive(
        idle=timedelta(seconds=keepalive.idle_seconds),
        interval=timedelta(seconds=keepalive.interval_seconds),
        probes=keepalive.probes,
    )


def _finished(made: plans.Plan, settings: Settings, shape: Shape) -> plans.Plan:
    """The plan with what a configuration can't say."""
    replace = msgspec.structs.replace
    (pool,) = made.pools
    backends = tuple(
        replace(backend, address=place.name)
        for backend, place in zip(pool.backends, shape.places, strict=True)
    )
    # With -a one failed connect is enough. Monitoring counts its own failures then.
    fall = 1 if settings.arguments.autodisable else settings.fall or _TRAFFIC_FALL
    check = replace(pool.check, fall=fall, rise=settings.rise or 1)
    if settings.rise is not None:
        check = replace(check, kind="external")
    return replace(made, pools=(replace(pool, backends=backends, check=check),))
