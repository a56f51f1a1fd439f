"""The admin API: one table of routes over what a running fairlead offers.

The same answers on the control socket and on ``[admin] listen``. Nothing is decided here: each
route reads, checks and hands on. Unknown paths, methods, fields and parameters are refused, with
the nearest known name; a script must not believe that it changed something.

Not here: bytes (`http`), who may ask (`guard`), what is behind it (`Offer`).
"""

from __future__ import annotations

import asyncio
import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote

from fairlead.control import metrics
from fairlead.control.http import ApiError, Request, Response, as_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

    from fairlead.control.events import EventLog, Subscription
    from fairlead.model import Json

_STATES = ("enabled", "draining", "disabled")
_WEIGHT_MAX = 256
_HEARTBEAT_SECONDS = 15.0


class Offer(Protocol):
    """What the API is an API of."""

    @property
    def events(self) -> EventLog:
        """What happened."""

    @property
    def stopping(self) -> bool:
        """Whether a stop has begun."""

    async def status(self) -> bytes:
        """Everything, as a JSON object."""

    def pool_status(self, name: str) -> bytes | None:
        """One pool, as a JSON object; ``None`` if there is none."""

    def pool_names(self) -> list[str]:
        """The names of all pools."""

    async def metrics(self, *, openmetrics: bool) -> bytes:
        """Everything that is counted, as text for Prometheus."""

    def set_backend(self, pool: str, backend: str, state: str | None, weight: int | None) -> None:
        """Change an operator's wish; both names are known to exist."""

    async def reload(self) -> list[str]:
        """Read the configuration again and use it; the steps taken. Raises `ApiError`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that found its route: the names in its path, its parameters, its body."""

    names: tuple[str, ...]
    parameters: dict[str, str]
    request: Request


class Api:
    """Answers requests. One per running fairlead."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        # Method, pattern of the raw path (names still percent-encoded), parameters, function. A
        # Unix socket's path may stand in a URL with its slashes bare: the last name takes all.
        self._routes: list[_Route] = [
            _route("GET", r"/healthz", self._healthz),
            _route("GET", r"/metrics", self._metrics),
            _route("GET", r"/v1/status", self._status),
            _route("GET", r"/v1/pools", self._pools),
            _route("GET", r"/v1/pools/([^/]+)", self._pool),
            _route("PATCH", r"/v1/pools/([^/]+)/backends/(.+)", self._change_backend),
            _route("GET", r"/v1/events", self._events, "follow", "after"),
            _route("POST", r"/v1/reload", self._reload),
        ]

    async def answer(self, request: Request) -> Response:
        """Answer one request; `ApiError` refuses it."""
        path, _, query = request.target.partition("?")
        matching = [(route, found) for route in self._routes if (found := route.match(path))]
        if not matching:
            raise self._no_such_path(path)
        for route, found in matching:
            if route.method == request.method:
                names = tuple(unquote(name) for name in found.groups())
                call = Call(names, _parameters(query, route.parameters), request)
                return await route.function(call)
        methods = ", ".join(sorted({route.method for route, _ in matching}))
        raise ApiError(
            405,
            "method_not_allowed",
            f"{request.method} is not possible here",
            hint=f"possible: {methods}",
            headers=(("Allow", methods),),
        )

    # -- routes ----------------------------------------------------------------------------

    async def _healthz(self, _: Call) -> Response:
        if self._offer.stopping:
            return as_json({"status": "stopping"}, 503)
        return as_json({"status": "ok"})

    async def _metrics(self, call: Call) -> Response:
        openmetrics = metrics.wants_openmetrics(call.request.headers.get("accept", ""))
        text = await self._offer.metrics(openmetrics=openmetrics)
        content_type = metrics.OPENMETRICS if openmetrics else metrics.PROMETHEUS
        return Response(200, text, content_type=content_type)

    async def _status(self, _: Call) -> Response:
        return Response(200, await self._offer.status() + b"\n")

    async def _pools(self, _: Call) -> Response:
        pools = (self._offer.pool_status(name) for name in self._offer.pool_names())
        rows = b",".join(pool for pool in pools if pool is not None)
        return Response(200, b'{"pools":[' + rows + b"]}\n")

    async def _pool(self, call: Call) -> Response:
        return Response(200, self._find_pool(call.names[0]) + b"\n")

    async def _change_backend(self, call: Call) -> Response:
        pool, backend = call.names
        self._find_backend(pool, backend)
        state, weight = _wish(call.request.body)
        self._offer.set_backend(pool, backend, state, weight)
        return as_json(self._find_backend(pool, backend))

    async def _reload(self, call: Call) -> Response:
        if call.request.body.strip() not in (b"", b"{}"):
            raise ApiError(400, "unknown_field", "a reload takes no body")
        steps = await self._offer.reload()
        return as_json({"changed": bool(steps), "steps": steps})

    async def _events(self, call: Call) -> Response:
        events = self._offer.events
        after = call.parameters.get("after", call.request.headers.get("last-event-id"))
        if after is not None and not re.fullmatch(r"[0-9]{1,18}", after):
            raise ApiError(400, "bad_value", f"`after` is an event's id, not `{after}`")
        follow = call.parameters.get("follow", "1")
        if follow not in ("0", "1"):
            raise ApiError(400, "bad_value", f"`follow` is 0 or 1, not `{follow}`")
        if follow == "0":
            kept, _ = events.after(int(after or 0))
            return Response(200, b'{"events":[' + b",\n".join(kept) + b"]}\n")
        return Response(
            200,
            content_type="text/event-stream",
            pieces=_stream(events, None if after is None else int(after)),
        )

    # -- what they share -------------------------------------------------------------------

    def _find_pool(self, name: str) -> bytes:
        pool = self._offer.pool_status(name)
        if pool is None:
            raise _unknown("pool", name, self._offer.pool_names())
        return pool

    def _find_backend(self, pool: str, address: str) -> Json:
        backends = json.loads(self._find_pool(pool))["backends"]
        for backend in backends:
            if backend["address"] == address:
                return dict(backend)
        raise _unknown("backend", address, (backend["address"] for backend in backends))

    def _no_such_path(self, path: str) -> ApiError:
        plain = [route.shown for route in self._routes]
        near = difflib.get_close_matches(path, plain, 1)
        hint = f"did you mean {near[0]}?" if near else "there are: " + ", ".join(plain)
        return ApiError(404, "unknown_path", f"there is nothing at {path}", hint=hint)


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    shown: str
    function: Callable[[Call], Awaitable[Response]]
    parameters: tuple[str, ...]

    def match(self, path: str) -> re.Match[str] | None:
        return self.pattern.fullmatch(path)


def _route(
    method: str, path: str, function: Callable[[Call], Awaitable[Response]], *parameters: str
) -> _Route:
    shown = path.replace("([^/]+)", "{pool}").replace("(.+)", "{address}")
    return _Route(method, re.compile(path), shown, function, parameters)


def _parameters(query: str, known: tuple[str, ...]) -> dict[str, str]:
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    for name in parameters:
        if name not in known:
            raise ApiError(
                400,
                "unknown_parameter",
                f"unknown parameter `{name}`",
                hint=f"known: {', '.join(known)}" if known else "there are none here",
            )
    return parameters


def _wish(body: bytes) -> tuple[str | None, int | None]:
    """Read ``{"state": …, "weight": …}``; at least one of the two."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "bad_json", f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ApiError(400, "bad_json", "the body is not a JSON object")
    for name in value:
        if name not in ("state", "weight"):
            raise _unknown("field", name, ("state", "weight"), status=400)
    if not value:
        hint = 'for example {"state": "draining"}'
        raise ApiError(400, "bad_value", "neither `state` nor `weight` is given", hint=hint)
    return _state(value), _weight(value)


def _state(value: Json) -> str | None:
    if "state" not in value:
        return None
    state = value["state"]
    if state not in _STATES:
        known = ", ".join(_STATES)
        message = f"`state` is {json.dumps(state)}, expected one of {known}"
        raise ApiError(400, "bad_value", message)
    return str(state)


def _weight(value: Json) -> int | None:
    if "weight" not in value:
        return None
    weight = value["weight"]
    whole = isinstance(weight, int) and not isinstance(weight, bool)
    if not whole or not 0 <= weight <= _WEIGHT_MAX:
        message = f"`weight` is {json.dumps(weight)}, expected a whole number from 0 to 256"
        raise ApiError(400, "bad_value", message)
    return int(weight)


def _unknown(kind: str, name: str, known: Iterable[str], *, status: int = 404) -> ApiError:
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    hint = f"did you mean `{near[0]}`?" if near else f"known: {shown or 'none'}"
    return ApiError(status, f"unknown_{kind}", f"there is no {kind} `{name}`", hint=hint)


async def _stream(events: EventLog, after: int | None) -> AsyncGenerator[bytes, None]:
    """Server-sent events until the client goes."""
    news = asyncio.Event()
    subscription = events.subscribe(news.set, after=after)
    try:
        # Tells the client at once that it is subscribed, before anything happens.
        yield b": fairlead events\n\n"
        while True:
            for event in _taken(subscription, news):
                yield event
            try:
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await news.wait()
            except TimeoutError:
                # Writing is the only way to notice a client that is gone.
                yield b":\n\n"
    finally:
        subscription.close()


def _taken(subscription: Subscription, news: asyncio.Event) -> list[bytes]:
    news.clear()
    return [_as_sent_event(event) for event in subscription.take()]


def _as_sent_event(event: bytes) -> bytes:
    """One event in the form of ``text/event-stream``."""
    value: dict[str, Any] = json.loads(event)
    lines = [b"event: " + str(value.get("event", "message")).encode()]
    if "id" in value:
        lines.append(b"id: %d" % value["id"])
    # JSON has no bare line feeds, so one data line holds it.
    lines.append(b"data: " + event)
    return b"\n".join(lines) + b"\n\n"
