"""What the admin API answers: each route of the table, and what it says to nonsense.

One for the control socket and for ``[admin]``; the command line uses nothing else. Every input is
held against what is known: an unknown path, parameter, field or value is an error that suggests
the nearest known name; a script must not believe that it changed something. And a request that is
refused has changed nothing.

Not here: the table (`routes`), bytes (`http`), who may ask (`guard`), what bodies may say
(`wants`), what is behind it (`Offer`).
"""

from __future__ import annotations

import asyncio
import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, quote, unquote

from fairlead.control import chaos, metrics, wants
from fairlead.control.http import ApiError, Request, Response, as_json
from fairlead.control.routes import ROUTES, TOML

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from fairlead.config.schema import Backend
    from fairlead.control.chaos import Wanted
    from fairlead.control.events import EventLog, Subscription
    from fairlead.control.routes import Route
    from fairlead.model import Json

_HEARTBEAT_SECONDS = 15.0


class Offer(Protocol):
    """What the API is an API of. What may fail raises `ApiError`."""

    @property
    def events(self) -> EventLog:
        """What happened."""

    @property
    def stopping(self) -> bool:
        """Whether a stop has begun."""

    @property
    def has_token(self) -> bool:
        """Whether the admin address wants a token."""

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

    async def add_backend(self, pool: str, backend: Backend) -> None:
        """Add a backend to a pool that exists."""

    async def remove_backend(self, pool: str, backend: str) -> None:
        """Remove a backend that exists from its pool."""

    async def play_chaos(self, wanted: Wanted) -> Json:
        """Play faults at a backend; what there is to say of it."""

    async def end_chaos(self) -> Json:
        """End what is played, if anything is; what there is to say of it."""

    async def chaos(self) -> Json:
        """What is or was played last, and what came of it."""

    async def reload(self) -> list[str]:
        """Read the configuration again and use it; the steps taken."""

    def config_text(self) -> str:
        """The configuration in force as TOML, without secrets."""

    async def plan_config(self, text: str, *, yaml: bool) -> list[str]:
        """What would change with this configuration, one line for each step."""

    async def use_config(self, text: str, *, yaml: bool) -> list[str]:
        """Use this configuration; the steps taken."""


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
        self._functions: dict[str, Callable[[Call], Awaitable[Response]]] = {
            "healthz": self._healthz,
            "metrics": self._metrics,
            "openapi": self._openapi,
            "status": self._status,
            "pools": self._pools,
            "pool": self._pool,
            "backends": self._backends,
            "add_backend": self._add_backend,
            "backend": self._backend,
            "change_backend": self._change_backend,
            "remove_backend": self._remove_backend,
            "events": self._events,
            "chaos": self._chaos,
            "play_chaos": self._play_chaos,
            "end_chaos": self._end_chaos,
            "reload": self._reload,
            "config": self._config,
            "use_config": self._use_config,
            "plan_config": self._plan_config,
        }

    def find(self, request: Request) -> Route | None:
        """Where a request leads, as far as its head tells."""
        path = request.target.partition("?")[0]
        return next(
            (
                route
                for route in ROUTES
                if route.method == request.method and route.pattern.fullmatch(path)
            ),
            None,
        )

    async def answer(self, request: Request) -> Response:
        """Answer one request; `ApiError` refuses it."""
        path, _, query = request.target.partition("?")
        route = self.find(request)
        if route is None:
            raise _lost(request.method, path)
        found = route.pattern.fullmatch(path)
        assert found is not None
        if route.body is None and request.body:
            raise ApiError(400, "no_body", f"{request.method} {route.path} takes no body")
        names = tuple(unquote(name) for name in found.groups())
        call = Call(names, _parameters(query, route), request)
        return await self._functions[route.name](call)

    # -- looking ---------------------------------------------------------------------------

    async def _healthz(self, _: Call) -> Response:
        if self._offer.stopping:
            return as_json({"status": "stopping"}, 503)
        return as_json({"status": "ok"})

    async def _metrics(self, call: Call) -> Response:
        openmetrics = metrics.wants_openmetrics(call.request.headers.get("accept", ""))
        text = await self._offer.metrics(openmetrics=openmetrics)
        content_type = metrics.OPENMETRICS if openmetrics else metrics.PROMETHEUS
        return Response(200, text, content_type=content_type)

    async def _openapi(self, _: Call) -> Response:
        from fairlead.control.openapi import document
        from fairlead.control.running import version

        return as_json(document(version(), token=self._offer.has_token))

    async def _status(self, _: Call) -> Response:
        return Response(200, await self._offer.status() + b"\n")

    async def _pools(self, _: Call) -> Response:
        pools = (self._offer.pool_status(name) for name in self._offer.pool_names())
        rows = b",".join(pool for pool in pools if pool is not None)
        return Response(200, b'{"pools":[' + rows + b"]}\n")

    async def _pool(self, call: Call) -> Response:
        return Response(200, self._find_pool(call.names[0]) + b"\n")

    async def _backends(self, call: Call) -> Response:
        return as_json({"backends": self._rows(call.names[0])})

    async def _backend(self, call: Call) -> Response:
        return as_json(self._find_backend(*call.names))

    async def _config(self, _: Call) -> Response:
        return Response(200, self._offer.config_text().encode(), content_type=TOML)

    async def _chaos(self, _: Call) -> Response:
        return as_json(await self._offer.chaos())

    async def _play_chaos(self, call: Call) -> Response:
        return as_json(await self._offer.play_chaos(chaos.read(call.request.body)), 201)

    async def _end_chaos(self, _: Call) -> Response:
        return as_json(await self._offer.end_chaos())

    async def _events(self, call: Call) -> Response:
        events = self._offer.events
        after = call.parameters.get("after", call.request.headers.get("last-event-id"))
        if after is not None and not re.fullmatch(r"[0-9]{1,18}", after):
            raise ApiError(400, "bad_value", f"`after` is an event's id, not `{after}`")
        if call.parameters.get("follow", "1") == "0":
            kept, _ = events.after(int(after or 0))
            return Response(200, b'{"events":[' + b",\n".join(kept) + b"]}\n")
        return Response(
            200,
            content_type="text/event-stream",
            pieces=_stream(events, None if after is None else int(after)),
        )

    # -- changing --------------------------------------------------------------------------

    async def _add_backend(self, call: Call) -> Response:
        (pool,) = call.names
        known = [row["address"] for row in self._rows(pool)]
        backend = wants.new_backend(call.request.body)
        if backend.address in known:
            message = f"`{backend.address}` is in pool `{pool}` already"
            raise ApiError(409, "backend_exists", message, hint="PATCH it to change it")
        await self._offer.add_backend(pool, backend)
        row = self._find_backend(pool, backend.address)
        place = f"/v1/pools/{quote(pool, safe='')}/backends/{quote(backend.address, safe='')}"
        return as_json(row, 201, (("Location", place),))

    async def _change_backend(self, call: Call) -> Response:
        pool, backend = call.names
        self._find_backend(pool, backend)
        state, weight = wants.wish(call.request.body)
        self._offer.set_backend(pool, backend, state, weight)
        return as_json(self._find_backend(pool, backend))

    async def _remove_backend(self, call: Call) -> Response:
        pool, backend = call.names
        row = self._find_backend(pool, backend)
        if len(self._rows(pool)) == 1:
            message = f"`{backend}` is the only backend of pool `{pool}`"
            hint = 'PATCH it with {"state": "disabled"} to take it out of use'
            raise ApiError(409, "last_backend", message, hint=hint)
        await self._offer.remove_backend(pool, backend)
        return as_json(row)

    async def _reload(self, call: Call) -> Response:
        wants.nothing(call.request.body)
        return _steps(await self._offer.reload())

    async def _use_config(self, call: Call) -> Response:
        text, yaml = wants.config(call.request)
        return _steps(await self._offer.use_config(text, yaml=yaml))

    async def _plan_config(self, call: Call) -> Response:
        text, yaml = wants.config(call.request)
        return _steps(await self._offer.plan_config(text, yaml=yaml))

    # -- what they share -------------------------------------------------------------------

    def _find_pool(self, name: str) -> bytes:
        pool = self._offer.pool_status(name)
        if pool is None:
            raise wants.unknown("pool", name, self._offer.pool_names())
        return pool

    def _rows(self, pool: str) -> list[Json]:
        rows: list[Json] = json.loads(self._find_pool(pool))["backends"]
        return rows

    def _find_backend(self, pool: str, address: str) -> Json:
        rows = self._rows(pool)
        for row in rows:
            if row["address"] == address:
                return row
        raise wants.unknown("backend", address, [row["address"] for row in rows])


def _steps(steps: list[str]) -> Response:
    return as_json({"changed": bool(steps), "steps": steps})


def _lost(method: str, path: str) -> ApiError:
    """There is no such path, or not with this method."""
    methods = {route.method for route in ROUTES if route.pattern.fullmatch(path)}
    if methods:
        allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
        return ApiError(
            405,
            "method_not_allowed",
            f"{method} is not possible here",
            hint=f"possible: {allowed}",
            headers=(("Allow", allowed),),
        )
    plain = list(dict.fromkeys(route.path for route in ROUTES))
    near = difflib.get_close_matches(path, plain, 1)
    hint = f"did you mean {near[0]}?" if near else "there are: " + ", ".join(plain)
    return ApiError(404, "unknown_path", f"there is nothing at {path}", hint=hint)


def _parameters(query: str, route: Route) -> dict[str, str]:
    known = {parameter.name: parameter for parameter in route.parameters}
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameter = known.get(name)
        if parameter is None:
            hint = f"known: {', '.join(known)}" if known else "there are none here"
            raise ApiError(400, "unknown_parameter", f"unknown parameter `{name}`", hint=hint)
        if name in parameters:
            raise ApiError(400, "bad_value", f"`{name}` is given twice")
        if not re.fullmatch(parameter.pattern, value):
            hint = f"it has the form {parameter.pattern}"
            raise ApiError(400, "bad_value", f"`{name}` can't be `{value}`", hint=hint)
        parameters[name] = value
    return parameters


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
