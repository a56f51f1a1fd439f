"""The address that `-b` stands for: with the port, it tells instances apart.

The starting side and the asking side must come to the same, however it is spelled. A name is
asked for; a literal costs nothing.
"""

from __future__ import annotations

import _socket

from fairlead.compat.port import is_address
from fairlead.compat.usage import DATA_ERROR, ExitError

__all__ = ["identity"]


def identity(bind: str | None) -> str | None:
    """The address in its one spelling, or `None` for all addresses.

    Raises:
        ExitError: It is none, code 65.

    >>> identity("::ffff:10.1.1.3"), identity("[2001:DB8:0::1]"), identity(None)
    ('10.1.1.3', '2001:db8::1', None)
    """
    if bind is None:
        return None
    host = bind.removeprefix("[").removesuffix("]")
    address = host if is_address(host) else _resolve(host)
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    plain = _socket.inet_ntop(family, _socket.inet_pton(family, address))
    return plain.removeprefix("::ffff:") if "." in plain else plain


def _resolve(host: str) -> str:
    try:
        found = _socket.getaddrinfo(host, None, type=_socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ExitError(DATA_ERROR, f"unknown or invalid address [{host}]") from None
    return str(found[0][4][0]).partition("%")[0]
