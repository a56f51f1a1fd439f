"""``/openapi.json``: the table of routes in the words of OpenAPI 3.1.

Made from `routes` and `shapes` when somebody asks. Nothing is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead.control.routes import PROBLEM, ROUTES, shape
from fairlead.control.shapes import SHAPES

if TYPE_CHECKING:
    from fairlead.control.routes import Route
    from fairlead.model import Json

_NAMES: dict[str, Json] = {
    "pool": {"type": "string", "minLength": 1},
    "address": {"type": "string", "minLength": 1},
}
_ALWAYS = {
    400: "What was asked makes no sense",
    401: "A token is needed, and this is not it",
    403: "Not from here: see `Host` and `Origin`",
    404: "There is no such thing",
    405: "Not possible here; `Allow` says what is",
    409: "Not possible now, as things are",
    413: "The body is too long",
    415: "The body is of another type than this takes",
    422: "The configuration can't work",
    503: "Python is stuck, and this needs it (`python_stuck`, at the control socket)",
}
_WITHOUT_PYTHON = ("healthz", "metrics", "status", "pools", "pool", "backend", "change_backend")
"""What the engine answers itself then (crates/fairlead-engine/src/stand_in/answer.rs)."""
_OF_READS = (400, 401, 403, 405)
_OF_WRITES = (*_OF_READS, 413, 415)
_GOOD = {200: "As asked", 201: "Made", 503: "Stopping"}


def document(version: str, *, token: bool) -> Json:
    """The whole description.

    Args:
        version: Of this fairlead.
        token: Whether this address wants a token.
    """
    paths: dict[str, Json] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, token=token)
    components: Json = {"schemas": SHAPES}
    if token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fairlead",
            "version": version,
            "description": "Ask and steer a running fairlead. docs/reference/api.md says more.",
        },
        "paths": paths,
        "components": components,
    }


def _operation(route: Route, *, token: bool) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": f"{route.text}.",
        "parameters": [*map(_name, route.names), *map(_parameter, route.parameters)],
        "responses": _responses(route),
    }
    if route.body is not None:
        content: dict[str, Any] = {
            media: {"schema": route.body.schema if media.endswith("json") else {"type": "string"}}
            for media in route.body.media
        }
        operation["requestBody"] = {"required": route.body.required, "content": content}
    if token and not route.public:
        operation["security"] = [{"token": []}]
    return operation


def _name(name: str) -> Json:
    text = "The pool's name" if name == "pool" else "The backend's address as configured"
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"{text}.",
        "schema": _NAMES[name],
    }


def _parameter(parameter: Any) -> Json:
    return {
        "name": parameter.name,
        "in": "query",
        "description": f"{parameter.text}.",
        "schema": parameter.schema,
    }


def _responses(route: Route) -> Json:
    responses: dict[str, Any] = {}
    for status, media, schema in route.answers:
        text = {"description": f"{_GOOD[status]}.", "content": {}}
        answer = responses.setdefault(str(status), text)
        answer["content"][media] = {"schema": schema or {"type": "string"}}
    always = _OF_WRITES if route.body is not None else _OF_READS
    stuck = () if route.name in _WITHOUT_PYTHON else (503,)
    for status in sorted({*always, *stuck, *route.problems}):
        content = {PROBLEM: {"schema": shape("Problem")}}
        responses[str(status)] = {"description": f"{_ALWAYS[status]}.", "content": content}
    return responses
