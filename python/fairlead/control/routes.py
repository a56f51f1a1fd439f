"""The table of routes: what can be asked, with what, and what comes back.

One table, three uses: requests find their way by it (`api`), what they bring is held against it,
and ``/openapi.json`` is made of it (`openapi`). So what is described is what is answered.

Not here: what a route does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.model import Json

JSON = "application/json"
TOML = "application/toml"
PROBLEM = "application/problem+json"

SMALL = 64 * 1024
"""Bytes of a body that says a few things."""

LARGE = 16 * 1024 * 1024
"""Bytes of a configuration: as much as is read of a file."""


def shape(name: str) -> Json:
    """A reference to one of the shapes."""
    return {"$ref": f"#/components/schemas/{name}"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something in the query.

    Attributes:
        name: Its name.
        text: What it means.
        schema: Its form, as JSON Schema of a text.
        pattern: The same as a regular expression, which it is held against.
    """

    name: str
    text: str
    schema: Json
    pattern: str


@dataclass(frozen=True, slots=True)
class Body:
    """What a request may bring.

    Attributes:
        media: In which forms, the usual one first.
        schema: Of the JSON form.
        bytes_max: How much of it is read.
        required: Whether it must bring something.
    """

    media: tuple[str, ...]
    schema: Json
    bytes_max: int = SMALL
    required: bool = True


@dataclass(frozen=True)
class Route:
    """One method of one path.

    Attributes:
        method: Upper case.
        path: With names in braces.
        name: What does it: the function of `api` with this name.
        text: What it does, in a sentence without its full stop.
        answers: Status, media type and form of each good answer.
        problems: Statuses of refusals beside those that any request can get.
        parameters: What the query may have.
        body: What the request may bring; ``None`` for nothing.
        public: Whether it is answered without a token.
        powerful: Whether it can do more than steer traffic.
    """

    method: str
    path: str
    name: str
    text: str
    answers: tuple[tuple[int, str, Json | None], ...]
    problems: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    public: bool = False
    powerful: bool = False
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Read the names in the path."""
        object.__setattr__(self, "names", tuple(re.findall(r"\{(\w+)\}", self.path)))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The path with names still percent-encoded.

        A Unix socket's path may stand in a URL with its slashes bare: an address takes all.
        """
        parts = re.split(r"(\{\w+\})", self.path)
        named = {"{address}": "(.+)"}
        return re.compile(
            "".join(
                named.get(part, "([^/]+)") if part.startswith("{") else re.escape(part)
                for part in parts
            )
        )


_BOOL = {"type": "string", "enum": ["0", "1"]}
_ID = {"type": "string", "pattern": "^[0-9]{1,18}$"}
_STEPS: dict[str, Any] = {
    "type": "object",
    "required": ["changed", "steps"],
    "properties": {
        "changed": {"type": "boolean"},
        "steps": {"type": "array", "items": {"type": "string"}},
    },
}
_LIST_OF_POOLS: dict[str, Any] = {
    "type": "object",
    "required": ["pools"],
    "properties": {"pools": {"type": "array", "items": shape("Pool")}},
}
_LIST_OF_BACKENDS: dict[str, Any] = {
    "type": "object",
    "required": ["backends"],
    "properties": {"backends": {"type": "array", "items": shape("Backend")}},
}
_LIST_OF_EVENTS: dict[str, Any] = {
    "type": "object",
    "required": ["events"],
    "properties": {"events": {"type": "array", "items": shape("Event")}},
}
_CHAOS: dict[str, Any] = {
    "type": "object",
    "required": ["chaos"],
    "properties": {"chaos": {"anyOf": [shape("Chaos"), {"type": "null"}]}},
}
_CONFIG = Body((TOML, JSON), shape("Config"), LARGE)
_BACKEND = "/v1/pools/{pool}/backends/{address}"

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/healthz",
        "healthz",
        "Say whether fairlead serves; 503 once a stop has begun",
        ((200, JSON, shape("Health")), (503, JSON, shape("Health"))),
        public=True,
    ),
    Route(
        "GET",
        "/metrics",
        "metrics",
        "Tell all counters to Prometheus",
        ((200, "text/plain", None), (200, "application/openmetrics-text", None)),
    ),
    Route(
        "GET",
        "/openapi.json",
        "openapi",
        "Describe this API",
        ((200, JSON, {"type": "object"}),),
    ),
    Route(
        "GET",
        "/v1/status",
        "status",
        "Tell everything: process, listeners, pools, backends",
        ((200, JSON, shape("Status")),),
    ),
    Route("GET", "/v1/pools", "pools", "Tell all pools", ((200, JSON, _LIST_OF_POOLS),)),
    Route(
        "GET",
        "/v1/pools/{pool}",
        "pool",
        "Tell one pool",
        ((200, JSON, shape("Pool")),),
        (404,),
    ),
    Route(
        "GET",
        "/v1/pools/{pool}/backends",
        "backends",
        "Tell the backends of a pool",
        ((200, JSON, _LIST_OF_BACKENDS),),
        (404,),
    ),
    Route(
        "POST",
        "/v1/pools/{pool}/backends",
        "add_backend",
        "Add a backend to a pool",
        ((201, JSON, shape("Backend")),),
        (404, 409, 422),
        body=Body((JSON,), shape("NewBackend")),
    ),
    Route(
        "GET",
        _BACKEND,
        "backend",
        "Tell one backend",
        ((200, JSON, shape("Backend")),),
        (404,),
    ),
    Route(
        "PATCH",
        _BACKEND,
        "change_backend",
        "Change what is wanted of a backend",
        ((200, JSON, shape("Backend")),),
        (404,),
        body=Body((JSON,), shape("Wish")),
    ),
    Route(
        "DELETE",
        _BACKEND,
        "remove_backend",
        "Remove a backend from its pool; what it has under way is finished",
        ((200, JSON, shape("Backend")),),
        (404, 409),
    ),
    Route(
        "GET",
        "/v1/events",
        "events",
        "Tell what happens as it happens, or with `follow=0` what happened lately",
        ((200, "text/event-stream", None), (200, JSON, _LIST_OF_EVENTS)),
        parameters=(
            Parameter("follow", "0: the recent events as JSON, and that is all", _BOOL, "[01]"),
            Parameter("after", "Begin after the event of this id", _ID, "[0-9]{1,18}"),
        ),
    ),
    Route(
        "GET",
        "/v1/chaos",
        "chaos",
        "Tell which faults are played on purpose, or were last, and what came of it",
        ((200, JSON, _CHAOS),),
    ),
    Route(
        "POST",
        "/v1/chaos",
        "play_chaos",
        "Play faults at a backend on purpose",
        ((201, JSON, _CHAOS),),
        (404, 409),
        body=Body((JSON,), shape("NewChaos")),
        powerful=True,
    ),
    Route(
        "DELETE",
        "/v1/chaos",
        "end_chaos",
        "End what is played on purpose, if anything is",
        ((200, JSON, _CHAOS),),
    ),
    Route(
        "POST",
        "/v1/reload",
        "reload",
        "Read the configuration again and use it",
        ((200, JSON, _STEPS),),
        (409, 422),
        body=Body((JSON,), {"type": "object", "maxProperties": 0}, required=False),
    ),
    Route(
        "GET",
        "/v1/config",
        "config",
        "Tell the configuration in force, without its `admin`",
        ((200, TOML, None),),
    ),
    Route(
        "PUT",
        "/v1/config",
        "use_config",
        "Use another configuration until the next reload",
        ((200, JSON, _STEPS),),
        (409, 422),
        body=_CONFIG,
        powerful=True,
    ),
    Route(
        "POST",
        "/v1/config/plan",
        "plan_config",
        "Tell what would change if this configuration were used",
        ((200, JSON, _STEPS),),
        (409, 422),
        body=_CONFIG,
    ),
)
