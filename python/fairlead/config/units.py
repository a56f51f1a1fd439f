"""The small languages of single values: durations, sizes, shares, addresses, networks.

Each has a function from text to value and, where the value is not kept as text, one back again.
Decides which spellings count and what is said about the others. Doesn't know which key a value
belongs to, nor whether an address exists.

A spelling is refused when two well-known programs would read it in two ways.
"""

from __future__ import annotations

import re
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from fairlead.config.place import Place

__all__ = [
    "Address",
    "format_duration",
    "format_share",
    "format_size",
    "parse_backend",
    "parse_duration",
    "parse_listen",
    "parse_network",
    "parse_share",
    "parse_size",
    "parse_statuses",
    "parse_weighted",
    "split_address",
]

_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_LONGEST_MS = 24 * 3_600_000
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

# sockaddr_un holds 108 bytes, the last of them zero.
_UNIX_PATH_BYTES = 107


# ------------------------------------------------------------------------- durations, sizes, shares


def parse_duration(text: str, *, at: Place, zero: bool = False) -> timedelta:
    """Read one duration.

    A whole number and a unit, nothing between them. There is no bare ``"5"``: HAProxy reads it
    as milliseconds and nginx as seconds, and whoever comes from one of them would be wrong by a
    factor of 1,000. There are no fractions: ``"1500ms"`` says it as well, and prints back as it
    was written.

    Args:
        text: The value as it stands in the file, without its quotes.
        at: Where it stands; the error carries it.
        zero: Whether a duration of nothing makes sense here.

    Returns:
        More than 0 (or 0, if ``zero``) and at most 24 hours.

    Raises:
        ConfigError: Code ``duration.form`` for anything but number and unit,
            ``duration.range`` for what is too short or too long.

    >>> from fairlead.config.place import Source
    >>> here = Source("fairlead.toml", 'interval = "5"').place(11, 14)
    >>> parse_duration("250ms", at=here)
    datetime.timedelta(microseconds=250000)
    >>> parse_duration("5", at=here)
    Traceback (most recent call last):
    ...
    fairlead.errors.ConfigError: fairlead.toml:1:12: `5` is not a duration: expected a whole number and ms, s, m or h
    """
    match = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h)", text)
    if match is None:
        raise ConfigError(
            "duration.form",
            f"`{text}` is not a duration",
            "a whole number and ms, s, m or h",
            at,
            _duration_hint(text),
        )
    ms = int(match[1]) * _MS[match[2]]
    if ms > _LONGEST_MS or (ms == 0 and not zero):
        least = "at least 0" if zero else "more than 0"
        what = "too long" if ms else "no time at all"
        raise ConfigError("duration.range", f"`{text}` is {what}", f"{least} and at most 24h", at)
    return timedelta(milliseconds=ms)


def format_duration(value: timedelta) -> str:
    """Write a duration with the largest unit that keeps it whole.

    >>> format_duration(timedelta(seconds=90)), format_duration(timedelta(hours=1))
    ('90s', '1h')
    """
    ms = value // timedelta(milliseconds=1)
    for unit in ("h", "m", "s"):
        if ms and ms % _MS[unit] == 0:
            return f"{ms // _MS[unit]}{unit}"
    return f"{ms}ms"


def _duration_hint(text: str) -> str | None:
    if re.fullmatch(r"[0-9]{1,9}", text):
        return f'write "{text}s" for seconds or "{text}ms" for milliseconds'
    match = re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*([A-Za-zµ]+)\s*", text)
    if match is None:
        return None
    unit = _spoken_unit(match[2])
    ms = float(match[1]) * _MS[unit] if unit else 0
    if unit is None or ms != round(ms):
        return None
    return f'write "{format_duration(timedelta(milliseconds=round(ms)))}"'


def _spoken_unit(word: str) -> str | None:
    """The unit that people mean when they write it out."""
    word = word.lower()
    for unit, names in (
        ("ms", ("ms", "msec", "msecs", "millis", "millisecond", "milliseconds")),
        ("s", ("s", "sec", "secs", "second", "seconds")),
        ("m", ("m", "min", "mins", "minute", "minutes")),
        ("h", ("h", "hr", "hrs", "hour", "hours")),
    ):
        if word in names:
            return unit
    return None


def parse_size(text: str, *, at: Place) -> int:
    """Read a number of bytes, with its unit.

    Units are powers of 1,024 and say so: ``KB`` is 1,000 bytes to some programs and 1,024 to
    others.

    >>> from fairlead.config.place import Source
    >>> here = Source("fairlead.toml", 'head = "64KB"').place(7, 13)
    >>> parse_size("64KiB", at=here)
    65536
    >>> parse_size("64KB", at=here)
    Traceback (most recent call last):
    ...
    fairlead.errors.ConfigError: fairlead.toml:1:8: `64KB` is not a size: expected a whole number and B, KiB, MiB, GiB or TiB
    """
    match = re.fullmatch(r"([0-9]{1,16})(B|KiB|MiB|GiB|TiB)", text)
    if match is None:
        raise ConfigError(
            "size.form",
            f"`{text}` is not a size",
            "a whole number and B, KiB, MiB, GiB or TiB",
            at,
            _size_hint(text),
        )
    return int(match[1]) * _BYTES[match[2]]


def format_size(value: int) -> str:
    """Write a number of bytes with the largest unit that keeps it whole.

    >>> format_size(65536), format_size(1000)
    ('64KiB', '1000B')
    """
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if value and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]}{unit}"
    return f"{value}B"


def _size_hint(text: str) -> str | None:
    match = re.fullmatch(r"\s*([0-9]{1,16})\s*([kmgt]?)(i?b?)\s*", text.lower())
    if match is None:
        return None
    unit = f"{match[2].upper()}iB" if match[2] else "B"
    return (
        f'write "{match[1]}{unit}" ({_BYTES[unit]:,} bytes each)'
        if match[2]
        else f'write "{match[1]}B"'
    )


def parse_share(text: str, *, at: Place) -> float:
    """Read a percentage with at most two decimals, as a share from 0 to 1.

    >>> from fairlead.config.place import Source
    >>> parse_share("2%", at=Source("fairlead.toml", 'budget = "2%"').place(9, 13))
    0.02
    """
    match = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?%", text)
    if match is None:
        hint = f'write "{text}%"' if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,2})?", text) else None
        raise ConfigError(
            "share.form", f"`{text}` is not a percentage", 'a number and %, such as "2%"', at, hint
        )
    hundredths = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if hundredths > 10_000:
        raise ConfigError("share.range", f"`{text}` is more than all", "0% to 100%", at)
    return hundredths / 10_000


def format_share(value: float) -> str:
    """Write a share as a percentage.

    >>> format_share(0.02), format_share(0.0025)
    ('2%', '0.25%')
    """
    return f"{round(value * 10_000) / 100:g}%"


def parse_statuses(text: str, *, at: Place) -> tuple[tuple[int, int], ...]:
    """Read a set of HTTP statuses: ``"200-399"``, ``"200,204"``.

    >>> from fairlead.config.place import Source
    >>> parse_statuses("200-299, 404", at=Source("x", "x").place(0, 1))
    ((200, 299), (404, 404))
    """
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{3})(?:\s*-\s*([0-9]{3}))?\s*", part)
        if match is None:
            raise ConfigError(
                "status.form",
                f"`{part.strip()}` is not a status or a range of statuses",
                'statuses such as "200", "200-399" or "200,204"',
                at,
                _status_hint(part.strip()),
            )
        low, high = int(match[1]), int(match[2] or match[1])
        if not 100 <= low <= high <= 599:
            raise ConfigError(
                "status.range",
                f"`{part.strip()}` is not a range of statuses",
                "100 to 599, the lower one first",
                at,
            )
        ranges.append((low, high))
    return tuple(ranges)


def _status_hint(part: str) -> str | None:
    match = re.fullmatch(r"([1-5])xx", part.lower())
    return f'write "{match[1]}00-{match[1]}99"' if match else None


# ---------------------------------------------------------------------------------------- addresses


class Address(NamedTuple):
    """Where to listen or to connect to.

    Exactly one of these: a Unix socket (``path``), a socket that fairlead is started with
    (``inherited``, its name), all addresses of this machine (none of the others), one host (``host``, a name or a literal without brackets).
    """

    host: str | None = None
    port: int = 0
    path: str | None = None
    inherited: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def split_address(text: str) -> Address:
    """Take a good address apart: one that ``parse_listen`` or ``parse_backend`` returned.

    >>> split_address("[::1]:8080")
    Address(host='::1', port=8080, path=None, inherited=None)
    """
    if text.startswith("unix:"):
        return Address(path=text[5:])
    if text.startswith("fd:"):
        return Address(inherited=text[3:])
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]") or None, int(port))


_LISTEN = "`8080`, `:8080`, `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`"
_BACKEND = "`host:port`, `http://host:port` or `unix:/path`"


def parse_listen(text: str, *, at: Place) -> str:
    """Read an address to listen at. Port 0 lets the system choose one.

    >>> from fairlead.config.place import Source
    >>> here = Source("x", "x").place(0, 1)
    >>> [parse_listen(text, at=here) for text in ("8080", ":8080", "[::1]:80", "unix:/run/web")]
    [':8080', ':8080', '[::1]:80', 'unix:/run/web']
    """
    if text.startswith("unix:"):
        return _unix(text, at)
    if not text:
        raise ConfigError("address.form", "there is no address", _LISTEN, at)
    if "://" in text:
        hint = "name only where to listen: the protocol has its own key"
        raise ConfigError("address.form", f"`{text}` is not an address", _LISTEN, at, hint)
    host, colon, port = text.rpartition(":")
    if not colon and not port.isdecimal():
        raise ConfigError("address.form", f"`{text}` has no port", _LISTEN, at)
    if host == "*":
        hint = f"`:{port}` listens on all addresses"
        raise ConfigError("address.form", f"`{text}` is not an address", _LISTEN, at, hint)
    number = _port(port, text, at, lowest=0, expected=_LISTEN)
    return str(Address(_host(host, text, at, _LISTEN) if host else None, number))


def parse_backend(text: str, *, at: Place) -> str:
    """Read a backend's address, without a weight. It is kept as it was written, but for the scheme.

    >>> from fairlead.config.place import Source
    >>> here = Source("x", "x").place(0, 1)
    >>> [parse_backend(text, at=here) for text in ("app1:8000", "http://app1", "unix:/run/app")]
    ['app1:8000', 'app1:80', 'unix:/run/app']
    """
    if text.startswith("unix:"):
        return _unix(text, at)
    if not text:
        raise ConfigError("address.form", "there is no address", _BACKEND, at)
    rest = _without_scheme(text, at)
    host, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        if rest == text:
            raise ConfigError(
                "address.form", f"`{text}` has no port", _BACKEND, at, f"add the port: `{text}:80`"
            )
        host, port = rest, "80"
    number = _port(port, text, at, lowest=1, expected=_BACKEND)
    return str(Address(_host(host, text, at, _BACKEND), number))


def parse_weighted(text: str, *, at: Place) -> tuple[str, int | None]:
    """Take the weight off the end of a backend: ``app1:8000*3``.

    Returns:
        What stands before the ``*``, and the weight, if there is one. The address is not looked at.

    >>> from fairlead.config.place import Source
    >>> parse_weighted("app1:8000*3", at=Source("x", "x").place(0, 1))
    ('app1:8000', 3)
    """
    address, star, weight = text.rpartition("*")
    # The path of a socket may have stars of its own.
    if not star or (text.startswith("unix:") and not weight.isdecimal()):
        return text, None
    if not re.fullmatch(r"[0-9]{1,3}", weight) or int(weight) > 256:
        raise ConfigError(
            "weight.range", f"`{weight}` is not a weight", "a whole number from 0 to 256", at
        )
    return address, int(weight)


def _without_scheme(text: str, at: Place) -> str:
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    if scheme.lower() == "https":
        hint = "TLS to backends is not available in this version: use http:// or host:port"
        raise ConfigError("address.scheme", "`https://` to a backend", _BACKEND, at, hint)
    if scheme.lower() != "http":
        raise ConfigError("address.scheme", f"`{scheme}://` to a backend", _BACKEND, at)
    rest = rest.removesuffix("/")
    if any(mark in rest for mark in "/?#@"):
        hint = "requests keep their own path; a backend is only where they go"
        raise ConfigError("address.form", f"`{text}` is more than an address", _BACKEND, at, hint)
    return rest


def _unix(text: str, at: Place) -> str:
    path = text[5:]
    if not path.startswith("/") or "\0" in path:
        hint = "the path has to be absolute: `unix:/run/app.sock`"
        raise ConfigError("address.form", f"`{text}` has no path", "`unix:/path`", at, hint)
    if len(path.encode("utf-8", "replace")) > _UNIX_PATH_BYTES:
        raise ConfigError(
            "address.range",
            f"`{text}` is too long",
            f"a path of at most {_UNIX_PATH_BYTES} bytes",
            at,
        )
    return text


def _port(port: str, text: str, at: Place, *, lowest: int, expected: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", port):
        what = f"`{port}` is not a port" if port else f"`{text}` has no port"
        raise ConfigError("address.form", what, expected, at)
    if not lowest <= int(port) <= 65535:
        raise ConfigError("address.range", f"`{port}` is not a port", f"{lowest} to 65535", at)
    return int(port)


def _host(host: str, text: str, at: Place, expected: str) -> str:
    """A name, an IPv4 address, or an IPv6 address that stood in brackets; without the brackets."""
    if host.startswith("[") and host.endswith("]"):
        if not _is_literal(socket.AF_INET6, host[1:-1]):
            raise ConfigError("address.form", f"`{host}` is not an IPv6 address", expected, at)
        return host[1:-1]
    if ":" in host:
        hint = f"put IPv6 addresses in brackets: `[{host}]:80`"
        raise ConfigError("address.form", f"`{text}` is not an address", expected, at, hint)
    if re.fullmatch(r"[0-9.]+", host):
        if not _is_literal(socket.AF_INET, host):
            raise ConfigError("address.form", f"`{host}` is not an IPv4 address", expected, at)
    elif not is_host_name(host):
        what = f"`{host}` is not a host name" if host else f"`{text}` has no host"
        ascii_hint = (
            None if host.isascii() else "write the name in its ASCII form, beginning with `xn--`"
        )
        raise ConfigError("address.form", what, expected, at, ascii_hint)
    return host


def is_host_name(text: str) -> bool:
    """Whether this could be the name of a host. Underscores are let through: containers have them.

    >>> is_host_name("app-1.example.com"), is_host_name("a..b"), is_host_name("a b")
    (True, False, False)
    """
    label = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    return len(text) <= 253 and re.fullmatch(rf"{label}(\.{label})*\.?", text) is not None


def _is_literal(family: socket.AddressFamily, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True


def parse_network(text: str, *, at: Place) -> str:
    """Read a network, ``10.0.0.0/8``, or one address. Bits beyond the prefix have to be zero.

    >>> from fairlead.config.place import Source
    >>> here = Source("x", "x").place(0, 1)
    >>> parse_network("10.0.0.0/8", at=here), parse_network("::1", at=here)
    ('10.0.0.0/8', '::1/128')
    """
    address, slash, prefix = text.partition("/")
    expected = 'a network such as "10.0.0.0/8" or "fd00::/8", or one address'
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if not _is_literal(family, address):
        raise ConfigError("network.form", f"`{text}` is not a network", expected, at)
    packed = socket.inet_pton(family, address)
    bits = len(packed) * 8
    if slash and not (re.fullmatch(r"[0-9]{1,3}", prefix) and int(prefix) <= bits):
        raise ConfigError("network.range", f"`/{prefix}` is not a prefix", f"/0 to /{bits}", at)
    length = int(prefix) if slash else bits
    number = int.from_bytes(packed)
    kept = number >> (bits - length) << (bits - length)
    if kept != number:
        network = f"{socket.inet_ntop(family, kept.to_bytes(bits // 8))}/{length}"
        raise ConfigError(
            "network.form",
            f"`{text}` has bits beyond its prefix",
            expected,
            at,
            f"the network with this address is `{network}`",
        )
    return f"{address}/{length}"
