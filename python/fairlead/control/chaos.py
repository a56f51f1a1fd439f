"""Faults played on purpose at one backend: who may ask for them, and with what.

The configuration has to allow it (``[chaos] enabled = true``); a reload that takes that back ends
what is played. What is asked for is held against bounds here; whether the pool can stand it the
engine knows. The end is the engine's, too: nobody has to be alive for it.

Not here: playing (the engine), what a person is told (`cli`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fairlead.control import wants
from fairlead.control.http import ApiError
from fairlead.control.shapes import DELAY_SECONDS_MAX, FAULTS, SECONDS_MAX

if TYPE_CHECKING:
    from fairlead.control.running import Running
    from fairlead.model import Json

DELAY_SECONDS = 2.0
"""Longer than people wait gladly, shorter than the usual time-outs."""

_STATUS = {"unknown_backend": 404}
_HINTS = {
    "chaos_running": "see it with `fairlead chaos`, end it with `fairlead chaos --stop`",
    "no_healthy_other": "wait until another one is healthy, or add one: its clients need somebody",
    "no_requests": "for tcp there are drop, delay, reset and freeze",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be played.

    Attributes:
        pool: The backend's pool.
        backend: Its address as configured.
        fault: One of `FAULTS`.
        share: How many of the attempts suffer, more than 0 and at most 1.
        seconds: For how long, more than 0 and at most `SECONDS_MAX`.
        delay: Seconds that an answer is held back, for ``delay``.
        checks: Whether checks get errors, too, for ``error``.
    """

    pool: str
    backend: str
    fault: str
    share: float = 1.0
    seconds: float = 30.0
    delay: float = DELAY_SECONDS
    checks: bool = False


_FIELDS = {
    "pool": "pool",
    "backend": "backend",
    "fault": "fault",
    "share": "share",
    "seconds": "seconds",
    "delay_seconds": "delay",
    "checks": "checks",
}
_BOUNDS = {"share": 1.0, "seconds": SECONDS_MAX, "delay_seconds": DELAY_SECONDS_MAX}


def read(body: bytes) -> Wanted:
    """Read the body of ``POST /v1/chaos``.

    Raises:
        ApiError: It is not JSON, has a field that is not known, lacks one, or has a value that
            makes no sense.
    """
    value = wants.json_object(body, tuple(_FIELDS))
    _check(value)
    return Wanted(**{_FIELDS[name]: each for name, each in value.items()})


def _check(value: Json) -> None:
    for name in ("pool", "backend", "fault"):
        if not isinstance(value.get(name), str):
            raise ApiError(400, "bad_value", f"`{name}` is missing, or no text")
    if value["fault"] not in FAULTS:
        message = f"`fault` is {json.dumps(value['fault'])}, expected one of {', '.join(FAULTS)}"
        raise ApiError(400, "bad_value", message)
    for name, most in _BOUNDS.items():
        if name in value and not _is_between(value[name], most):
            message = (
                f"`{name}` is {json.dumps(value[name])}, expected more than 0, at most {most:g}"
            )
            raise ApiError(400, "bad_value", message)
    if not isinstance(value.get("checks", False), bool):
        raise ApiError(400, "bad_value", "`checks` is true or false")


def _is_between(value: Any, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= most


def play(running: Running, wanted: Wanted) -> Json:
    """Play it; the report as it begins.

    Raises:
        ApiError: It is not allowed, or the pool could not stand it.
    """
    from fairlead import _engine

    if not running.loaded.config.chaos.enabled:
        hint = "write `[chaos]` and `enabled = true` into it, and reload"
        raise ApiError(
            403, "chaos_disabled", "the configuration doesn't allow faults on purpose", hint=hint
        )
    try:
        running.engine.play_chaos(**asdict(wanted))
    except _engine.EngineError as error:
        code, text = error.args
        status = _STATUS.get(code, 409)
        raise ApiError(status, code, text, hint=_HINTS.get(code)) from None
    return report(running)


def end(running: Running) -> Json:
    """End what is played, if anything is; the report."""
    running.engine.end_chaos()
    return report(running)


def report(running: Running) -> Json:
    """The last run and what came of it so far: ``{"chaos": …}``, null if there was none."""
    told = running.engine.chaos()
    return {"chaos": None if told is None else json.loads(told)}
