"""A request as a policy sees it: what is cheap at once, the rest when it is looked at.

A view on the bytes of the head as it goes to the backend: hop-by-hop headers are gone,
``X-Forwarded-For`` and the others are there. Nothing here is decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

HEAD_LATIN = "iso-8859-1"


class Headers(Mapping[str, str]):
    r"""Headers by name, in any case. Of one that stands several times the first counts.

    >>> headers = Headers(b"Host: a\r\nX-Tier: gold\r\nx-tier: tin")
    >>> headers["x-tier"], headers.all("X-TIER"), list(headers), "cookie" in headers
    ('gold', ['gold', 'tin'], ['host', 'x-tier'], False)
    """

    __slots__ = ("_rows",)

    def __init__(self, lines: bytes) -> None:
        """Read the lines between the request line and the empty one."""
        self._rows: dict[str, list[str]] = {}
        for line in lines.decode(HEAD_LATIN).split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                self._rows.setdefault(name.lower(), []).append(value.strip(" \t"))

    def __getitem__(self, name: str) -> str:
        return self._rows[name.lower()][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def all(self, name: str) -> list[str]:
        """All values of a header, in order; none if there is no such header."""
        return list(self._rows.get(name.lower(), ()))


class Request:
    r"""A request (http) or a connection (tcp) that needs a backend.

    Attributes:
        listener: Name of the listener that it came in on.
        client: The client's IP address; ``None`` on a Unix socket.
        client_port: Its port; 0 on a Unix socket.
        attempts: How many backends failed it before; 0 at first.
        head: The request's head as it goes to the backend, to the empty line; empty on tcp.
        body_prefix: The beginning of its body: as much as the pool's ``body_prefix`` says, or less
            if the body is shorter or slow; empty without that key.

    >>> request = Request("web", ("192.0.2.1", 9), 0, b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n")
    >>> request.method, request.target, request.path, request.host, request.client
    ('GET', '/a?b=c', '/a', 'x', '192.0.2.1')
    """

    __slots__ = ("_headers", "attempts", "body_prefix", "client", "client_port", "head", "listener")

    def __init__(
        self,
        listener: str,
        client: tuple[str, int] | None = None,
        attempts: int = 0,
        head: bytes = b"",
        body_prefix: bytes = b"",
    ) -> None:
        """Made by fairlead, and by your tests.

        Args:
            listener: Name of a listener.
            client: Address and port.
            attempts: Backends that failed it before.
            head: A request's head.
            body_prefix: The beginning of its body.
        """
        self.listener = listener
        self.client: str | None = client[0] if client else None
        self.client_port = client[1] if client else 0
        self.attempts = attempts
        self.head = head
        self.body_prefix = body_prefix
        self._headers: Headers | None = None

    @property
    def method(self) -> str:
        """The method, such as ``GET``; empty on tcp."""
        return self.head[: self.head.find(b" ") + 1].rstrip().decode(HEAD_LATIN)

    @property
    def target(self) -> str:
        """Path and query as they stand in the request; empty on tcp."""
        line = self.head[: self.head.find(b"\r\n") + 1].split(b" ")
        return line[1].decode(HEAD_LATIN) if len(line) > 1 else ""

    @property
    def path(self) -> str:
        """The path without its query, as it stands in the request."""
        return self.target.partition("?")[0]

    @property
    def headers(self) -> Headers:
        """The headers, read when they are first looked at."""
        if self._headers is None:
            start = self.head.find(b"\r\n") + 2
            self._headers = Headers(self.head[start:] if start > 1 else b"")
        return self._headers

    @property
    def host(self) -> str:
        """The ``Host``, perhaps with a port; empty on tcp."""
        return self.headers.get("host", "")

    def __repr__(self) -> str:
        what = f"{self.method} {self.target}" if self.head else "connection"
        return f"<{what} of {self.client} on {self.listener}>"
