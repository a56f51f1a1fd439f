"""Who may ask: the operator's own programs, not a page in the operator's browser.

A web page can make a browser send requests to 127.0.0.1, and with DNS rebinding even read the
answers. Both give themselves away: rebinding by a ``Host`` that is not ours, cross-origin writes
by an ``Origin`` that isn't. A form can't send JSON, so a body must say what it is.

An address that strangers can reach has a token; everything but ``/healthz`` wants it, on a loopback
address too if one is configured. What can run commands or write files (a whole configuration) is
never open to everybody who reaches a TCP port: it wants a token there in any case.

On a Unix socket only the ``Origin`` is looked at: no browser gets there, and the file's mode says
who may.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fairlead.control.http import ApiError

if TYPE_CHECKING:
    from fairlead.control.http import Request
    from fairlead.control.routes import Route

_READS = frozenset(("GET", "OPTIONS"))
_SCHEME = "bearer"


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one address.

    Attributes:
        tcp: Whether it is reached over TCP.
        token: What has to be shown there; ``None`` if nothing.
        hosts: Names that it goes by, lower case, beside ``localhost`` and its own address.
    """

    tcp: bool = False
    token: str | None = None
    hosts: frozenset[str] = frozenset()

    def check(self, request: Request, route: Route | None, local: str) -> None:
        """Raise `ApiError` if this request must not be answered.

        Args:
            request: The request's head.
            route: Where it leads, if anywhere.
            local: The address of this end of its connection, without the port; empty if none.
        """
        if self.tcp:
            self._check_host(request, local)
            _check_content_type(request, route)
        if request.method not in _READS:
            _check_origin(request)
        if route is None or not route.public:
            self._check_token(request)
        if route is not None and route.powerful and self.tcp and self.token is None:
            raise ApiError(
                403,
                "token_needed",
                "this can do more than steer traffic, so this address takes it only with a token",
                hint="set `token_file` in [admin], or use the control socket",
            )

    def _check_host(self, request: Request, local: str) -> None:
        name = _name(request.headers.get("host", ""))
        if name == "localhost" or name in self.hosts or _is_ours(name, local):
            return
        raise ApiError(
            403,
            "forbidden_host",
            f"the Host `{name}` is not this address",
            hint="use the address itself, or list the name under `hosts` in [admin]; this is a "
            "defence against DNS rebinding",
        )

    def _check_token(self, request: Request) -> None:
        if self.token is None:
            return
        # Only who has a token pays for the import.
        from hmac import compare_digest

        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        right = compare_digest(shown.strip().encode("latin-1", "replace"), self.token.encode())
        if scheme.lower() == _SCHEME and right:
            return
        what = "the token is not the right one" if shown else "this takes a token"
        raise ApiError(
            401,
            "token_wrong" if shown else "token_missing",
            what,
            hint="send it as `Authorization: Bearer TOKEN`",
            headers=(("WWW-Authenticate", 'Bearer realm="fairlead"'),),
        )


def _check_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is None:
        return
    if _netloc(origin) == request.headers.get("host", "").lower():
        return
    raise ApiError(403, "forbidden_origin", f"a page of `{origin}` may not change anything here")


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _check_content_type(request: Request, route: Route | None) -> None:
    if not request.has_body or route is None or route.body is None:
        return
    content_type = request.content_type
    if content_type not in route.body.media:
        raise ApiError(
            415,
            "wrong_type",
            f"the body's type is `{content_type}`",
            hint=f"send it with `Content-Type: {route.body.media[0]}`",
        )


def _name(host: str) -> str:
    """The name of a ``Host`` without its port and brackets; the port says nothing of who asks."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_ours(name: str, local: str) -> bool:
    """Whether a ``Host`` is an address of this end. A literal can't be rebound."""
    try:
        address = ip_address(name)
        ours = ip_address(local.partition("%")[0]) if local else None
    except ValueError:
        return False
    mapped = getattr(ours, "ipv4_mapped", None) or ours
    return address == mapped or (address.is_loopback and (mapped is None or mapped.is_loopback))
