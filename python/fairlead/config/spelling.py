"""Checks of the texts that stand in routes, backends and checks: hosts, paths, methods, headers.

Each takes a text and its place and returns the text in its usual spelling, or raises. Decides
what could never match a request, so that nobody waits for it to. Doesn't decide how requests
match: that is the engine's.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

from fairlead.config import units
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from fairlead.config.place import Place

__all__ = [
    "NAMED",
    "check_admin_host",
    "check_command",
    "check_file",
    "check_hash_on",
    "check_header",
    "check_host",
    "check_host_pattern",
    "check_listen",
    "check_log",
    "check_method",
    "check_named",
    "check_network",
    "check_path",
    "check_reference",
    "check_source",
    "check_token",
    "check_user",
    "check_via",
    "is_named",
    "is_open",
]

# RFC 9110 §5.6.2.
# 16 characters of 64 are 96 bits: more than anybody tries over a network.
_TOKEN_LEAST = 16

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What a request target may hold (RFC 3986 §3.3, §3.4), and the % of its escapes.
_TARGET = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")


# Something in Python, for editors; `is_named` says it exactly.
NAMED = r"^[^\s:.]+(\.[^\s:.]+)*:[^\s:.]+(\.[^\s:.]+)*$"


def is_named(text: str) -> bool:
    """Whether this names something in Python: ``module:attribute``, each perhaps with dots.

    >>> is_named("my.policies:Cheapest"), is_named("policies.py:Cheapest"), is_named("mine:")
    (True, True, False)
    """
    module, colon, attribute = text.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(map(str.isidentifier, parts))


def check_named(text: str, at: Place) -> str:
    """The name of something in Python."""
    if is_named(text):
        return text
    hint = None
    if text.partition(":")[0].endswith(".py"):
        hint = "name the module, not its file"
    elif ":" not in text and is_named(":".join(text.rpartition(".")[::2])):
        hint = f'write "{":".join(text.rpartition(".")[::2])}"'
    found = f"`{text}` names nothing in Python"
    raise ConfigError("python.form", found, "`module:attribute`", at, hint)


def check_listen(text: str, at: Place) -> str:
    """An address to listen at, or ``fd:`` and the name of a socket that fairlead is started with."""
    if not text.startswith("fd:"):
        return units.parse_listen(text, at=at)
    if re.fullmatch(r"fd:[!-9;-~]{1,255}", text) is None:
        expected = "`fd:` and the `FileDescriptorName=` of a systemd socket"
        raise ConfigError("address.form", f"`{text}` names no socket", expected, at)
    return text


# As `useradd` takes them, for editors and for us; a group behind a colon.
USER = r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?(:[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?)?$"


def check_user(text: str, at: Place) -> str:
    """A user to become, perhaps with a group. Whether there is one is seen at the start."""
    if re.fullmatch(USER, text) is None:
        expected = "a user such as `fairlead`, or `fairlead:www-data` with a group"
        raise ConfigError("user.form", f"`{text}` is no user's name", expected, at)
    return text


def check_network(text: str, at: Place) -> str:
    """A network."""
    return units.parse_network(text, at=at)


def is_open(listen: str) -> bool:
    """Whether strangers can reach an address: it is neither loopback nor a Unix socket.

    >>> [is_open(listen) for listen in (":80", "10.0.0.1:80", "[::1]:80", "unix:/run/a")]
    [True, True, False, False]
    """
    address = units.split_address(listen)
    return address.path is None and not _is_loopback(address.host)


def _is_loopback(host: str | None) -> bool:
    return host in ("localhost", "::1") or bool(host and re.fullmatch(r"127\.[0-9.]+", host))


def check_token(text: str, at: Place) -> str:
    """A token that a header can carry, and that can't be guessed."""
    expected = f"at least {_TOKEN_LEAST} characters of letters, digits and `-._~+/=`"
    if len(text) < _TOKEN_LEAST:
        found = f"the token has {len(text)} character{'s' * (len(text) != 1)}"
        hint = "make one: `openssl rand -hex 32`"
        raise ConfigError("token.form", found, expected, at, hint)
    if re.fullmatch(r"[A-Za-z0-9._~+/=-]+", text) is None:
        raise ConfigError("token.form", "the token can't stand in a header", expected, at)
    return text


def check_admin_host(text: str, at: Place) -> str:
    """A name that the admin address goes by, without a port. Lower case."""
    if not units.is_host_name(text):
        expected = "a name such as `lb1.example.com`, without a port"
        raise ConfigError("host.form", f"`{text}` is not a name", expected, at)
    return text.lower()


def check_reference(text: str, at: Place) -> str:
    """The name of a pool. Whether there is one of that name is seen later."""
    del at
    return text


def check_source(text: str, at: Place) -> str:
    """An address of this machine, without a port."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, text))
        except (OSError, ValueError):
            continue
    raise ConfigError(
        "address.form", f"`{text}` is not an IP address", "an address without a port", at
    )


def check_command(text: str, at: Place) -> str:
    """A shell command."""
    if not text.strip() or "\0" in text:
        raise ConfigError("text.empty", "there is no command", "a shell command", at)
    return text


def check_file(text: str, at: Place) -> str:
    """A file to read."""
    if not text or "\0" in text:
        raise ConfigError("text.empty", "there is no file", "a file", at)
    return text


def check_log(text: str, at: Place) -> str:
    """A file to write to, or ``-`` for standard output."""
    if not text or "\0" in text:
        raise ConfigError("text.empty", "there is no file", 'a file, or "-"', at)
    return text


def check_host(text: str, at: Place) -> str:
    """The value of a ``Host`` header, with a port or without."""
    host, _, port = text.rpartition(":")
    name = host if host and port.isdecimal() else text
    if not (units.is_host_name(name) or re.fullmatch(r"\[[0-9A-Fa-f:.]+\]", name)):
        raise ConfigError("host.form", f"`{text}` is not a host", "a name or an address", at)
    return text


def check_host_pattern(text: str, at: Place) -> str:
    """A host, or ``*.`` and a domain. Lower case, as hosts are compared so."""
    expected = "a host such as `api.example.com`, or `*.example.com`"
    name, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and "]" not in port and not text.endswith("]"):
        hint = f"leave out the port: `{name}`"
        raise ConfigError("host.form", f"`{text}` has a port", expected, at, hint)
    plain = text.removeprefix("*.")
    if "*" in plain:
        found = f"`{text}` has a `*` that doesn't stand alone at the beginning"
        raise ConfigError("host.form", found, expected, at)
    if not (units.is_host_name(plain) or re.fullmatch(r"\[[0-9A-Fa-f:.]+\]", text)):
        raise ConfigError("host.form", f"`{text}` is not a host", expected, at)
    return text.lower()


def check_path(text: str, at: Place) -> str:
    """A path as it stands in a request."""
    if not text.startswith("/"):
        found = f"`{text}` doesn't begin with `/`"
        raise ConfigError("path.form", found, "a path such as `/v1/`", at, f'write "/{text}"')
    if _TARGET.fullmatch(text) is None:
        expected = "characters that a request may have, others as %XX"
        raise ConfigError("path.form", f"`{text}` can't be in a request", expected, at)
    return text


def check_method(text: str, at: Place) -> str:
    """A method, in upper case."""
    if _TOKEN.fullmatch(text) is None:
        raise ConfigError("method.form", f"`{text}` is not a method", "a method such as `GET`", at)
    return text.upper()


def check_header(text: str, at: Place) -> str:
    """``Name`` for a header with any value, ``Name: value`` for this one."""
    expected = "`Name` or `Name: value`"
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip(" \t")
    if _TOKEN.fullmatch(name) is None:
        raise ConfigError("header.form", f"`{name}` is not the name of a header", expected, at)
    if not all(character == "\t" or character.isprintable() for character in value):
        raise ConfigError("header.form", f"`{name}` has a value no header can have", expected, at)
    return f"{name.lower()}: {value}" if colon else name.lower()


def check_via(text: str, at: Place) -> str:
    """Our name in ``Via``, a token (RFC 9110 §7.6.3); ``off`` for none."""
    if _TOKEN.fullmatch(text) is None:
        found = f"`{text}` is no name that `Via` can have"
        raise ConfigError("via.form", found, 'a name such as "fairlead", or "off"', at)
    return text


def check_hash_on(text: str, at: Place) -> str:
    """What policy ``hash`` looks at."""
    if text in ("source-ip", "path"):
        return text
    kind, _, name = text.partition(":")
    if kind in ("header", "cookie") and _TOKEN.fullmatch(name):
        return f"header:{name.lower()}" if kind == "header" else text
    raise ConfigError(
        "value.unknown",
        f"`{text}` is nothing to hash",
        '"source-ip", "path", "header:NAME" or "cookie:NAME"',
        at,
    )
