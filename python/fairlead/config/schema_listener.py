"""Listeners, routes, a client's timeouts: their part of the schema (see `schema`)."""

from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec

from fairlead.config import spelling
from fairlead.config.form import (
    Choice,
    Duration,
    Flag,
    Form,
    Many,
    Path,
    Reading,
    Regex,
    Spelled,
)
from fairlead.config.schema_keepalive import KEEPALIVE, Keepalive
from fairlead.config.schema_limits import Limits
from fairlead.config.table import Key, Table, Tables
from fairlead.config.tree import Node
from fairlead.errors import ConfigError

__all__ = [
    "LISTENER",
    "NETWORKS",
    "POOL_NAME",
    "VIA",
    "Listener",
    "ListenerTimeouts",
    "Route",
]

POOL_NAME: Final = Spelled(spelling.check_reference, "the name of a pool")
_PATH = Spelled(spelling.check_path, 'a path such as "/v1/"', pattern="^/")
NETWORKS: Final = Many(
    Spelled(spelling.check_network, 'a network such as "10.0.0.0/8"'), "networks", lone=True
)

VIA: Final = Spelled(
    spelling.check_via,
    'a name such as "fairlead", or "off"',
    pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
)


def _seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


class ListenerTimeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for a client."""

    head: Annotated[
        timedelta,
        Key(
            Duration(),
            "From the first byte of a request until its head is whole; then 408. No byte that comes "
            "meanwhile makes it longer, so this is the least rate of a head, too.",
            why="Slow enough for a bad mobile link, short enough that holding heads back "
            "doesn't hold connections.",
        ),
    ] = _seconds(10)
    body: Annotated[
        timedelta,
        Key(
            Duration(),
            "Between two pieces of a request body; then 408.",
            why="It is restarted by every piece, so large uploads may take as long as they like.",
        ),
    ] = _seconds(30)
    idle: Annotated[
        timedelta | None,
        Key(
            Duration(),
            "Between two requests on a kept connection; on tcp: neither side sends.",
            default='"60s" on http, "1h" on tcp',
            why="A kept HTTP connection is cheap to open again; an idle database connection "
            "belongs to a pool that expects to find it alive.",
        ),
    ] = None
    tunnel: Annotated[
        timedelta,
        Key(
            Duration(),
            "On upgraded connections (WebSocket): neither side sends.",
            why="Chats are silent for long; most of them ping within minutes.",
        ),
    ] = _seconds(3600)


class _Headers(Form[tuple[str, ...]]):
    """Conditions on headers: ``"X-Beta"``, ``"X-Beta: 1"``, a list of such, or a table."""

    blank = ()
    expected = '"Name" or "Name: value", or a list of such'

    def __init__(self) -> None:
        line = Spelled(spelling.check_header, self.expected)
        self._many = Many(line, "headers", lone=True)

    def read(self, node: Node, reading: Reading, path: Path) -> tuple[str, ...]:
        """The conditions, each as ``name`` or ``name: value``."""
        if node.kind != "table":
            return self._many.read(node, reading, path)
        lines = []
        for entry in node.value:
            if entry.node.kind != "string":
                raise ConfigError(
                    "type",
                    f"`{entry.key}` is not text",
                    'the value that the header must have, or "*" for any',
                    entry.node.place,
                )
            value = entry.node.value
            line = entry.key if value == "*" else f"{entry.key}: {value}"
            lines.append(spelling.check_header(line, entry.place))
        return tuple(lines)

    def spell(self, value: tuple[str, ...]) -> Any:
        """One text or a list of texts."""
        return self._many.write(value)

    def schema(self) -> dict[str, Any]:
        """A string, an array of strings, or an object of strings."""
        table = {"type": "object", "additionalProperties": {"type": "string"}}
        return {"anyOf": [*self._many.schema()["anyOf"], table]}


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests go to which pool. All conditions given must hold."""

    host: Annotated[
        str | None,
        Key(
            Spelled(spelling.check_host_pattern, "a host, or `*.` and a domain"),
            "The request's host without its port: exact, or `*.example.com` for all below it.",
            default="any host",
        ),
    ] = None
    path: Annotated[
        str | None,
        Key(_PATH, "What the path begins with.", default="any path"),
    ] = None
    path_exact: Annotated[
        str | None,
        Key(_PATH, "The whole path, without the query.", default="any path"),
    ] = None
    path_regex: Annotated[
        str | None,
        Key(
            Regex(),
            "A regular expression that finds something in the path; `^` and `$` tie it down.",
            default="any path",
        ),
    ] = None
    method: Annotated[
        tuple[str, ...],
        Key(
            Many(Spelled(spelling.check_method, "a method"), "methods"),
            "The method, or a list of methods.",
            default="any method",
        ),
    ] = ()
    header: Annotated[
        tuple[str, ...],
        Key(
            _Headers(),
            '"Name" for a header that is there, "Name: value" for one with this value, or a '
            "list of both. A table of names and values says the same.",
            default="any headers",
        ),
    ] = ()
    pool: Annotated[str, Key(POOL_NAME, "The pool that such requests go to.")]


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """An address that clients connect to."""

    bind: Annotated[
        tuple[str, ...],
        Key(
            Many(
                Spelled(
                    spelling.check_listen,
                    'an address such as ":8080", "127.0.0.1:8080" or "unix:/path"',
                    kinds=("string", "integer"),
                ),
                "addresses",
                least=1,
            ),
            'Where to listen, one address or a list: ":8080" (all addresses, IPv4 and IPv6), '
            '"127.0.0.1:8080", "[::1]:8080", "unix:/path". Port 0 lets the system choose. "fd:NAME" is '
            "the socket of this name that systemd opened; one that it opened on an address that stands "
            "here is used as well.",
        ),
    ]
    protocol: Annotated[
        str,
        Key(
            Choice("a protocol", ("http", "tcp"), later=("https", "tls", "http2", "http3", "udp")),
            'What is spoken there: "http" (HTTP/1.1 and 1.0) or "tcp" (bytes as they are).',
        ),
    ] = "http"
    pool: Annotated[
        str | None,
        Key(
            POOL_NAME,
            "The pool for everything that no route takes.",
            default="such requests get 404",
        ),
    ] = None
    routes: Annotated[
        tuple[Route, ...],
        Key(
            Tables(Table(Route, "a route", later=("query", "redirect", "rewrite", "weight"))),
            "Which requests go elsewhere, in order: the first that matches wins. Only on http.",
            default="none",
        ),
    ] = ()
    timeouts: Annotated[
        ListenerTimeouts,
        Key(Table(ListenerTimeouts, "a listener's timeouts"), "How long to wait for a client."),
    ] = ListenerTimeouts()
    limits: Annotated[
        Limits,
        Key(Table(Limits, "a listener's limits"), "How much of a client is too much."),
    ] = Limits()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Key(
            NETWORKS,
            "Networks whose `X-Forwarded-*` and `X-Request-Id` headers are believed and passed on, "
            "and whose PROXY headers are, with `proxy_protocol`.",
            default="none",
            why="Whoever can set them can claim any address.",
        ),
    ] = ()
    via: Annotated[
        str,
        Key(
            VIA,
            "Our name in the `Via` that is added to requests and answers that are passed on; "
            '"off" adds none. Only on http.',
            why="RFC 9110 wants it, and a request that goes in circles can be recognised by it. "
            "nginx as a backend doesn't compress what has a `Via` unless told to "
            "(`gzip_proxied any`).",
        ),
    ] = "fairlead"
    proxy_protocol: Annotated[
        bool,
        Key(
            Flag(),
            "Whether connections from `trusted_proxies`, and all on a Unix socket, begin with a PROXY "
            "header (version 1 or 2), which tells the client's address. Everybody else is an ordinary "
            "client.",
            why="Whether a header may come is never told by looking at the bytes: any client could "
            "send some that look like one.",
        ),
    ] = False
    tcp_keepalive: Annotated[
        Keepalive | None,
        Key(
            KEEPALIVE,
            "How silent clients are probed by the kernel.",
            default="after 30 s, every 10 s, three times",
        ),
    ] = None


LISTENER: Final = Table(Listener, "a listener", later=("tls", "access_log"))
