"""Who may ask over TCP: the local user's own programs, not a page in the local user's browser.

A web page can make a browser send requests to 127.0.0.1, and with DNS rebinding even read the
answers. Both give themselves away: rebinding by a ``Host`` that is not ours, cross-origin writes
by an ``Origin`` that isn't. A form can't send JSON, so a body must say that it is.

On a Unix socket only the ``Origin`` is looked at: no browser gets there, and the file's mode says
who may.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fairlead.control.http import ApiError

if TYPE_CHECKING:
    from fairlead.control.http import Request

_READS = frozenset(("GET", "OPTIONS"))


def check(request: Request, *, tcp: bool) -> None:
    """Raise `ApiError` if this request must not be answered.

    Args:
        request: The request.
        tcp: Whether it came over TCP.
    """
    if tcp:
        _check_host(request)
        _check_content_type(request)
    if request.method not in _READS:
        _check_origin(request)


def _check_host(request: Request) -> None:
    name = _name(request.headers.get("host", ""))
    if name == "localhost" or _is_loopback(name):
        return
    raise ApiError(
        403,
        "forbidden_host",
        f"the Host `{name}` is not this address",
        hint="use localhost or the address itself; this is a defence against DNS rebinding",
    )


def _check_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is None:
        return
    if urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower():
        return
    raise ApiError(403, "forbidden_origin", f"a page of `{origin}` may not change anything here")


def _check_content_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.body and content_type != "application/json":
        raise ApiError(
            415,
            "not_json",
            f"the body's type is `{content_type}`",
            hint="send JSON, with `Content-Type: application/json`",
        )


def _name(host: str) -> str:
    """The name of a ``Host`` without its port and brackets; the port says nothing of who asks."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
