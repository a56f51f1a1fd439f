"""The configuration: every table and key with its meaning, unit, default and the default's reason.

Cut in five: here the file as a whole, `schema_listener`, `schema_limits`, `schema_pool` and
`schema_backend` beside it. Together they are the source of the reference page and of the JSON
Schema, and the only place with defaults.
A `Config` from `parse` holds nothing wrong: names refer to something, numbers are in range,
addresses are spelled well. It still has options left open (``None`` for what is derived, names
that aren't resolved); `lower` closes them.

Values are plain Python: durations are ``timedelta``, sizes are bytes, shares are 0 to 1, addresses
and networks are texts in the file's spelling.
"""

import os
from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec

from fairlead.config import spelling, units
from fairlead.config.form import (
    Choice,
    Duration,
    Flag,
    Form,
    Many,
    Path,
    Reading,
    Spelled,
    Whole,
)
from fairlead.config.place import Source
from fairlead.config.schema_backend import Backend
from fairlead.config.schema_limits import Limits, OverallLimits
from fairlead.config.schema_listener import (
    LISTENER,
    NETWORKS,
    VIA,
    Listener,
    ListenerTimeouts,
    Route,
)
from fairlead.config.schema_pool import (
    HASH_ON,
    POLICIES,
    POLICY,
    POOL,
    Check,
    Outlier,
    Pool,
    PoolTimeouts,
    Retry,
)
from fairlead.config.table import Key, Named, Table
from fairlead.config.tree import Node

__all__ = [
    "CONFIG",
    "DEFAULTS",
    "LISTENER_DEFAULTS",
    "POLICIES",
    "POOL_DEFAULTS",
    "AccessLog",
    "Admin",
    "Backend",
    "Chaos",
    "Check",
    "Config",
    "DefaultTimeouts",
    "Defaults",
    "Limits",
    "Listener",
    "ListenerDefaults",
    "ListenerTimeouts",
    "Outlier",
    "OverallLimits",
    "Pool",
    "PoolDefaults",
    "PoolTimeouts",
    "Retry",
    "Route",
]


def _seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


class DefaultTimeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Timeouts of all pools and listeners."""

    head: Annotated[timedelta | None, Key(Duration(), "As in a listener.")] = None
    body: Annotated[timedelta | None, Key(Duration(), "As in a listener.")] = None
    tunnel: Annotated[timedelta | None, Key(Duration(), "As in a listener.")] = None
    connect: Annotated[timedelta | None, Key(Duration(), "As in a pool.")] = None
    response: Annotated[timedelta | None, Key(Duration(), "As in a pool.")] = None
    keepalive: Annotated[timedelta | None, Key(Duration(), "As in a pool.")] = None
    idle: Annotated[
        timedelta | None,
        Key(Duration(), "As in a listener and as in a pool: it holds for both."),
    ] = None


class PoolDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all pools that don't say otherwise, key by key."""

    policy: Annotated[str, Key(POLICY, "As in a pool.")] = "round-robin"
    hash_on: Annotated[str, Key(HASH_ON, "As in a pool.")] = "source-ip"
    check: Annotated[Check, Key(Table(Check, "a check"), "As in a pool.")] = Check()
    timeouts: Annotated[
        PoolTimeouts, Key(Table(PoolTimeouts, "a pool's timeouts"), "As in a pool.")
    ] = PoolTimeouts()
    retry: Annotated[Retry, Key(Table(Retry, "a pool's retries"), "As in a pool.")] = Retry()
    outlier: Annotated[Outlier, Key(Table(Outlier, "a pool's outlier"), "As in a pool.")] = (
        Outlier()
    )
    slow_start: Annotated[timedelta, Key(Duration(zero=True), "As in a pool.")] = timedelta(
        seconds=10
    )


class ListenerDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all listeners that don't say otherwise, key by key."""

    timeouts: Annotated[
        ListenerTimeouts,
        Key(Table(ListenerTimeouts, "a listener's timeouts"), "As in a listener."),
    ] = ListenerTimeouts()
    limits: Annotated[Limits, Key(Table(Limits, "a listener's limits"), "As in a listener.")] = (
        Limits()
    )
    trusted_proxies: Annotated[tuple[str, ...], Key(NETWORKS, "As in a listener.")] = ()
    via: Annotated[str, Key(VIA, "As in a listener.")] = "fairlead"


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all pools and listeners that don't say otherwise, key by key.

    Tables may stand right here or, where a name has two meanings, under `pools` and `listeners`.
    """

    policy: Annotated[str, Key(POLICY, "As in a pool.")] = "round-robin"
    hash_on: Annotated[str, Key(HASH_ON, "As in a pool.")] = "source-ip"
    check: Annotated[Check, Key(Table(Check, "a check"), "As in a pool.")] = Check()
    timeouts: Annotated[
        DefaultTimeouts,
        Key(Table(DefaultTimeouts, "the default timeouts"), "Of pools and of listeners."),
    ] = DefaultTimeouts()
    retry: Annotated[Retry, Key(Table(Retry, "a pool's retries"), "As in a pool.")] = Retry()
    outlier: Annotated[Outlier, Key(Table(Outlier, "a pool's outlier"), "As in a pool.")] = (
        Outlier()
    )
    slow_start: Annotated[timedelta, Key(Duration(zero=True), "As in a pool.")] = timedelta(
        seconds=10
    )
    limits: Annotated[Limits, Key(Table(Limits, "a listener's limits"), "As in a listener.")] = (
        Limits()
    )
    trusted_proxies: Annotated[tuple[str, ...], Key(NETWORKS, "As in a listener.")] = ()
    via: Annotated[str, Key(VIA, "As in a listener.")] = "fairlead"


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """The admin API. A local control socket exists without it."""

    listen: Annotated[
        str,
        Key(
            Spelled(
                lambda text, at: units.parse_listen(text, at=at),
                'an address such as "127.0.0.1:9100"',
            ),
            "Where it listens: a loopback address, `unix:/path`, or any other address if there is "
            "a token.",
        ),
    ]
    token: Annotated[
        str | None,
        Key(
            Spelled(spelling.check_token, "a token"),
            "What has to be shown there, as `Authorization: Bearer TOKEN`: at least 16 characters.",
            default="none",
            why="Whoever reaches the address can steer the traffic.",
        ),
    ] = None
    token_file: Annotated[
        str | None,
        Key(
            Spelled(spelling.check_file, "a file"),
            "A file with the token, read again at each reload.",
            default="none",
            why="A configuration is shown to more people than a secret should be.",
        ),
    ] = None
    hosts: Annotated[
        tuple[str, ...],
        Key(
            Many(Spelled(spelling.check_admin_host, "a name"), "names", lone=True),
            "Names that it goes by, beside `localhost` and its own address: requests with any "
            "other `Host` are refused.",
            default="none",
            why="A page in a browser could reach it by DNS rebinding otherwise.",
        ),
    ] = ()

    def __repr__(self) -> str:
        """The values but for the token: what is printed ends in logs."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        shown["token"] = None if self.token is None else "***"
        return f"Admin({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class AccessLog(msgspec.Struct, frozen=True, kw_only=True):
    """Where a line about each request and each connection goes."""

    to: Annotated[
        str,
        Key(
            Spelled(spelling.check_log, 'a file, or "-"'),
            'A file, which is made if it is missing and written on to, or "-" for standard output.',
        ),
    ]
    format: Annotated[
        str,
        Key(
            Choice("a format", ("json", "combined", "dump")),
            'How a line looks: "json", or "combined" as web servers have written it for long. '
            '"dump" writes no lines, but all bytes that tcp listeners relay, as readable text.',
            why="Only JSON has room for what a balancer knows: backend, attempts, times, reason.",
        ),
    ] = "json"


class _AccessLog(Form[AccessLog]):
    """An access log as a text or a table."""

    blank = None
    expected = 'a file, "-" for standard output, or a table with `to`'

    def __init__(self) -> None:
        self._table = Table(AccessLog, "the access log", later=("fields", "rotate", "sample"))

    def read(self, node: Node, reading: Reading, path: Path) -> AccessLog:
        """The log."""
        if node.kind == "table":
            return self._table.read(node, reading, path)
        if node.kind != "string":
            raise self.misfit(node, path)
        return AccessLog(to=spelling.check_log(node.value, node.place))

    def spell(self, value: AccessLog) -> Any:
        """A text if the file is all there is to say."""
        spelled = self._table.write(value)
        return spelled["to"] if set(spelled) == {"to"} else spelled

    def schema(self) -> dict[str, Any]:
        """A string or an object."""
        return {"anyOf": [{"type": "string"}, self._table.schema()]}


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """Faults played on purpose, with `fairlead chaos`."""

    enabled: Annotated[
        bool,
        Key(
            Flag(),
            "Whether faults may be played at backends of this instance. A reload that takes it "
            "back ends what is played.",
            why="Whoever may ask on the control socket should not be able to hurt clients by "
            "mistake.",
        ),
    ] = False


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All that fairlead is to do."""

    workers: Annotated[
        int,
        Key(
            Whole(0, 1024),
            "Threads that move bytes; 0 for one per CPU that this process may use.",
        ),
    ] = 0
    io: Annotated[
        str,
        Key(
            Choice("a way to call the kernel", ("epoll", "uring", "auto")),
            "How these threads call the kernel: `epoll`, each call by itself; `uring`, many at once "
            "through an io_uring where many are due at once; `auto`, as `uring` where the kernel "
            "allows it and else as `epoll`. `fairlead status --json` says which it is, and why.",
            why="A tenth of what a request costs where a core is full; containers mostly forbid "
            "io_uring, and lose no more than that.",
        ),
    ] = "auto"
    user: Annotated[
        str | None,
        Key(
            Spelled(spelling.check_user, "a user", pattern=spelling.USER),
            "Whom `fairlead run` becomes once everything is bound, `name` or `name:group`; it must be "
            "started as root. A `fairlead.Balancer` in a program of yours leaves the user to that.",
            default="whoever starts it",
            why="Ports below 1024 take root; serving them doesn't.",
        ),
    ] = None
    shutdown_timeout: Annotated[
        timedelta,
        Key(
            Duration(zero=True),
            "How long connections under way may take after a stop was asked for.",
            why="Whoever stops services usually kills after 30 to 90 s.",
        ),
    ] = _seconds(30)
    admin: Annotated[
        Admin | None,
        Key(
            Table(Admin, "`admin`", later=("tls",)),
            "The admin API on TCP or on a Unix socket of your own.",
            default="only the local control socket",
        ),
    ] = None
    access_log: Annotated[
        AccessLog | None,
        Key(
            _AccessLog(),
            'A line about each request and each connection: a file, "-" for standard output, or '
            "a table.",
            default="no access log",
            why="Counters and events tell most of it and cost less.",
        ),
    ] = None
    limits: Annotated[
        OverallLimits,
        Key(
            Table(OverallLimits, "the limits of the instance"),
            "How much is too much for the whole instance.",
        ),
    ] = OverallLimits()
    chaos: Annotated[
        Chaos,
        Key(
            Table(Chaos, "`chaos`"),
            "Faults played on purpose: see `fairlead chaos`.",
        ),
    ] = Chaos()
    listeners: Annotated[
        dict[str, Listener],
        Key(
            Named(LISTENER, "listeners"),
            "Addresses that clients connect to, by name.",
        ),
    ]
    pools: Annotated[
        dict[str, Pool],
        Key(
            Named(POOL, "pools"),
            "Sets of interchangeable backends, by name.",
        ),
    ]

    @classmethod
    def from_toml(cls, text: str) -> "Config":
        """Read a configuration from TOML text. Names are not resolved yet.

        Args:
            text: What would stand in the file.

        Raises:
            ConfigErrors: Everything that is wrong with it.
        """
        return _parsed(Source("<text>", text))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Config":
        """Read a configuration from a file. Names are not resolved yet.

        Args:
            path: A file in TOML, or in YAML if it ends in .yaml or .yml.

        Raises:
            ConfigErrors: The file can't be read, or is wrong.
        """
        from fairlead.config.read import read  # noqa: PLC0415  # it imports this

        return _parsed(read(path))

    def to_toml(self) -> str:
        """The same as text, without what goes without saying.

        >>> app = Pool(backends=(Backend("app1:8000", weight=3), Backend("app2:8000")))
        >>> web = Listener(bind=(":8080",), pool="app")
        >>> config = Config(listeners={"web": web}, pools={"app": app})
        >>> Config.from_toml(config.to_toml()) == config
        True
        """
        from fairlead.config.write import write_toml  # noqa: PLC0415  # it imports this

        return write_toml(self)


def _parsed(source: Source) -> Config:
    from fairlead.config.loaded import parse_source  # noqa: PLC0415  # it imports this
    from fairlead.config.read import grammars  # noqa: PLC0415  # it imports this

    return parse_source(source, grammars()).config


POOL_DEFAULTS: Final = Table(PoolDefaults, "the defaults of pools")
LISTENER_DEFAULTS: Final = Table(ListenerDefaults, "the defaults of listeners")
DEFAULTS: Final = Table(
    Defaults,
    "the defaults",
    apart={
        "pools": Key(POOL_DEFAULTS, "For all pools."),
        "listeners": Key(LISTENER_DEFAULTS, "For all listeners."),
    },
)
CONFIG: Final = Table(
    Config,
    "the configuration",
    later=("tls", "metrics", "log"),
    apart={
        "defaults": Key(
            DEFAULTS, "What holds for all pools and listeners that don't say otherwise."
        )
    },
)
