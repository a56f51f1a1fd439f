"""A port by its number or its service, and what an address looks like.

Asked by `-c` and `-i`, too, which scripts call often: it imports next to nothing.
"""

from __future__ import annotations

import _socket

__all__ = ["is_address", "parse_port"]

_PORT_MAX = 65_535
_PORT_DIGITS = 5


def parse_port(text: str) -> int | None:
    """A port's number, from 1 to 65535, or that of a service; `None` if it is neither."""
    if text.isascii() and text.isdecimal():
        number = int(text) if len(text) <= _PORT_DIGITS else 0
        return number if 0 < number <= _PORT_MAX else None
    try:
        return _socket.getservbyname(text, "tcp")
    except (OSError, UnicodeError, ValueError):
        return None


def is_address(text: str) -> bool:
    """Whether this is an IP address and not a name."""
    family = _socket.AF_INET6 if ":" in text else _socket.AF_INET
    try:
        _socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True
