"""What the bodies of requests say: each read whole, held against what is known, or refused.

Decides what a wish, a new backend and a configuration look like to the API. Doesn't know what
becomes of them.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from fairlead.control.http import ApiError
from fairlead.control.routes import JSON
from fairlead.control.shapes import CONNECTIONS_MAX, GROUP_MAX, STATES, WEIGHT_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fairlead.config.schema import Backend
    from fairlead.control.http import Request
    from fairlead.errors import ConfigErrors
    from fairlead.model import Json

_NEW = ("address", "weight", "group", "max_connections", "state")


def nothing(body: bytes) -> None:
    """Refuse a body that says anything. An empty object says nothing; white space is no JSON."""
    if body:
        json_object(body, ())


def wish(body: bytes) -> tuple[str | None, int | None]:
    """Read ``{"state": …, "weight": …}``; at least one of the two."""
    value = json_object(body, ("state", "weight"))
    if not value:
        hint = 'for example {"state": "draining"}'
        raise ApiError(400, "bad_value", "neither `state` nor `weight` is given", hint=hint)
    return _state(value), _whole(value, "weight", 0, WEIGHT_MAX)


def new_backend(body: bytes) -> Backend:
    """Read ``{"address": …}`` and what else a backend may have."""
    from fairlead.config.schema import Backend

    value = json_object(body, _NEW)
    address = value.get("address")
    if not isinstance(address, str):
        found = json.dumps(address) if "address" in value else "missing"
        message = f'`address` is {found}, expected a text such as "app1:8000"'
        raise ApiError(400, "bad_value", message)
    weight = _whole(value, "weight", 0, WEIGHT_MAX)
    return Backend(
        address=_address(address),
        weight=1 if weight is None else weight,
        group=_whole(value, "group", 0, GROUP_MAX) or 0,
        max_connections=_whole(value, "max_connections", 1, CONNECTIONS_MAX),
        state=_state(value) or "enabled",
    )


def config(request: Request) -> tuple[str, bool]:
    """The text of a configuration, and whether it is JSON, which is YAML too."""
    try:
        text = request.body.decode()
    except UnicodeDecodeError as error:
        raise ApiError(400, "not_utf8", f"the body is not UTF-8: {error.reason}") from None
    if not text.strip():
        raise ApiError(400, "bad_value", "there is no configuration in the body")
    if request.content_type != JSON:
        return text, False
    json_object(request.body, None)
    return text, True


def wrong_config(errors: ConfigErrors) -> ApiError:
    """What is wrong with a configuration, for people and one by one for programs."""
    mistakes = tuple(
        {
            "code": error.code,
            "message": str(error),
            "hint": error.hint,
            "line": error.place.line if error.place else None,
            "column": error.place.column if error.place else None,
        }
        for error in errors.errors
    )
    hint = "the old configuration stays in force"
    refusal = ApiError(422, "config", str(errors), hint=hint)
    refusal.errors = mistakes
    return refusal


def unknown(kind: str, name: str, known: Iterable[str], *, status: int = 404) -> ApiError:
    """There is none of this name; perhaps another was meant."""
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    hint = f"did you mean `{near[0]}`?" if near else f"known: {shown or 'none'}"
    return ApiError(status, f"unknown_{kind}", f"there is no {kind} `{name}`", hint=hint)


def json_object(body: bytes, known: tuple[str, ...] | None) -> Json:
    """A JSON object of these fields; of any, if there is no list."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "bad_json", f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ApiError(400, "bad_json", "the body is not a JSON object")
    for name in value:
        if known is not None and name not in known:
            raise unknown("field", name, known, status=400)
    return value


def _address(text: str) -> str:
    from fairlead.config import units
    from fairlead.config.place import Source
    from fairlead.errors import ConfigError

    source = Source("address", text)
    try:
        return units.parse_backend(text, at=source.place(0, len(source.data)))
    except ConfigError as error:
        message = f"{error.found}: expected {error.expected}"
        raise ApiError(422, "bad_address", message, hint=error.hint) from None


def _state(value: Json) -> str | None:
    if "state" not in value:
        return None
    state = value["state"]
    if state not in STATES:
        known = ", ".join(STATES)
        message = f"`state` is {json.dumps(state)}, expected one of {known}"
        raise ApiError(400, "bad_value", message)
    return str(state)


def _whole(value: Json, name: str, low: int, high: int) -> int | None:
    if name not in value:
        return None
    number: Any = value[name]
    # JSON Schema counts 1.0 among the whole numbers.
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not whole or not low <= number <= high:
        found = json.dumps(value[name])
        message = f"`{name}` is {found}, expected a whole number from {low} to {high}"
        raise ApiError(400, "bad_value", message)
    return int(number)
