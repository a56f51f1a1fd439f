"""What a fake backend does with the next request: the script, apart from any socket.

A script holds one behaviour for everything and, where a test asked for it, others for paths
below a prefix or for a number of requests. `Script.next` answers what is to be done with one
request and counts that number down.

There are three behaviours. `Answer` is a proper HTTP response, `Socket` a WebSocket; `Raw` is
everything else: some bytes or none, and then the connection is closed, reset or left hanging. Refusing, freezing and
swallowing are not here: they happen to the listening socket or to the whole thread, before there
is a request.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Then = Literal["close", "reset", "hang"]
"""How a connection goes on after raw bytes: FIN, RST, or nothing ever again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A proper response.

    Attributes:
        status: The status code.
        body: The body; ``None`` for the backend's name and a line feed.
        headers: Further header lines; ``X-Backend`` with the backend's name is always there.
        echo: Answer with the request's own body instead of ``body``.
        chunked: Send the body in chunks rather than with a ``Content-Length``.
        keep: Keep the connection afterwards if the client wants to.
        early: Answer as soon as the head is there, without waiting for the body.
        delay_seconds: Wait so long before the head.
        between_seconds: Send the body in ten pieces and wait so long before each.
    """

    status: int = 200
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    echo: bool = False
    chunked: bool = False
    keep: bool = True
    early: bool = False
    delay_seconds: float = 0.0
    between_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they are (often none), and how the connection goes on after them."""

    data: bytes = b""
    then: Then = "close"


@dataclass(frozen=True, slots=True)
class Socket:
    """A WebSocket that sends back what it gets.

    Attributes:
        messages: End after so many messages; ``None`` when the client does.
        then: How: with a close frame and FIN, by RST, or by saying nothing ever again.
    """

    messages: int | None = None
    then: Then = "close"


Behaviour = Answer | Raw | Socket


@dataclass(slots=True)
class _Limited:
    """A behaviour for a number of requests; ``None`` for all of them."""

    behaviour: Behaviour
    left: int | None = None


@dataclass(slots=True)
class Script:
    """What is done with which request.

    >>> script = Script()
    >>> script.set(Raw(then="reset"), times=1)
    >>> script.next("/"), script.next("/")
    (Raw(data=b'', then='reset'), Answer(status=200, body=None, headers=(), echo=False, \
chunked=False, keep=True, early=False, delay_seconds=0.0, between_seconds=0.0))
    """

    at_accept: Raw | None = None
    _usual: Behaviour = field(default_factory=Answer)
    _limited: _Limited | None = None
    _by_prefix: dict[str, _Limited] = field(default_factory=dict)

    def set(
        self, behaviour: Behaviour, *, path: str | None = None, times: int | None = None
    ) -> None:
        """Change what is done from the next request on.

        Args:
            behaviour: What to do.
            path: Only for paths that begin so; ``None`` is for all, and forgets what was set
                for single paths.
            times: Only for so many requests, then as before.
        """
        if path is not None:
            self._by_prefix[path] = _Limited(behaviour, times)
            return
        self.at_accept = None
        if times is not None:
            self._limited = _Limited(behaviour, times)
            return
        self._usual, self._limited = behaviour, None
        self._by_prefix.clear()

    def slow_down(
        self, delay_seconds: float, between_seconds: float, *, path: str | None = None
    ) -> None:
        """Keep the usual answer and only make it late, and in pieces if asked."""
        usual = self._usual if isinstance(self._usual, Answer) else Answer()
        slower = replace(usual, delay_seconds=delay_seconds, between_seconds=between_seconds)
        self.set(slower, path=path)

    def next(self, path: str) -> Behaviour:
        """Answer what to do with a request for `path`; the longest matching prefix wins."""
        matching = [prefix for prefix in self._by_prefix if path.startswith(prefix)]
        if matching:
            prefix = max(matching, key=len)
            limited = self._by_prefix[prefix]
            if _spend(limited):
                return limited.behaviour
            del self._by_prefix[prefix]
            return self.next(path)
        if self._limited is not None:
            if _spend(self._limited):
                return self._limited.behaviour
            self._limited = None
        return self._usual


def _spend(limited: _Limited) -> bool:
    """Count one use; false when there is none left."""
    if limited.left is None:
        return True
    limited.left -= 1
    return limited.left >= 0
