"""The forms of what goes in and out of the API, as JSON Schema: the components of OpenAPI.

What goes in is closed: an unknown field is refused, and the schema says so. What goes out is open:
fields may be added, so a reader must not mind them. A test holds real answers against these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.model import Json

_TEXT: dict[str, Any] = {"type": "string"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_NUMBER: dict[str, Any] = {"type": "number", "minimum": 0}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_COUNTS: dict[str, Any] = {"type": "object", "additionalProperties": _COUNT}
_STATE: dict[str, Any] = {"type": "string", "enum": ["enabled", "draining", "disabled"]}
_HEALTH: dict[str, Any] = {"type": "string", "enum": ["healthy", "suspect", "down", "unknown"]}
_WEIGHT: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 256}
_GROUP: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 65_535}

WEIGHT_MAX = 256
GROUP_MAX = 65_535
CONNECTIONS_MAX = 10_000_000
STATES = ("enabled", "draining", "disabled")
FAULTS = ("drop", "delay", "reset", "error", "freeze")
SECONDS_MAX = 3_600
DELAY_SECONDS_MAX = 60


def _object(required: tuple[str, ...], **properties: Any) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


_SUMS: dict[str, Any] = {
    "available": _COUNT,
    "active": _COUNT,
    "requests": _COUNT,
    "failures": _COUNT,
    "failures_by_reason": _COUNTS,
    "bytes_in": _COUNT,
    "bytes_out": _COUNT,
    "rates": _ref("Rates"),
    "latency_ms": _ref("Quantiles"),
}

SHAPES: dict[str, Json] = {
    "Health": _object(
        ("status",), status={"type": "string", "enum": ["ok", "stopping"]}, python=_TEXT
    ),
    "Problem": {
        "description": "RFC 9457, with a code for programs and a hint for people.",
        **_object(
            ("type", "title", "status", "detail", "code"),
            type=_TEXT,
            title=_TEXT,
            status={"type": "integer"},
            detail=_TEXT,
            code=_TEXT,
            hint=_or_null(_TEXT),
            errors=_list(_ref("Mistake")),
        ),
    },
    "Mistake": {
        "description": "One thing that is wrong with a configuration.",
        **_object(
            ("code", "message"),
            code=_TEXT,
            message=_TEXT,
            hint=_or_null(_TEXT),
            line=_or_null(_COUNT),
            column=_or_null(_COUNT),
        ),
    },
    "Rate": _object(("1s", "10s", "60s"), **{"1s": _NUMBER, "10s": _NUMBER, "60s": _NUMBER}),
    "Rates": _object(
        ("requests", "failures", "bytes_in", "bytes_out"),
        requests=_ref("Rate"),
        failures=_ref("Rate"),
        bytes_in=_ref("Rate"),
        bytes_out=_ref("Rate"),
    ),
    "Quantiles": _object(
        ("p50", "p90", "p99", "p999"),
        **{name: _or_null(_NUMBER) for name in ("p50", "p90", "p99", "p999")},
    ),
    "Change": _object(
        ("time", "from", "to", "why"), **{"time": _TIME, "from": _TEXT, "to": _TEXT, "why": _TEXT}
    ),
    "Backend": _object(
        (
            "address",
            "group",
            "weight",
            "state",
            "health",
            "reason",
            "since",
            "active",
            "requests",
            "failures",
            "latency_ms",
        ),
        address=_TEXT,
        group=_GROUP,
        weight=_WEIGHT,
        share={"type": "number", "minimum": 0, "maximum": 1},
        state=_STATE,
        health=_HEALTH,
        reason=_TEXT,
        since=_or_null(_TIME),
        **{name: schema for name, schema in _SUMS.items() if name != "available"},
        history=_list(_ref("Change")),
        checks_passed=_COUNT,
        checks_failed=_COUNT,
        connects=_COUNT,
        connect_failures=_COUNT,
        retries=_COUNT,
    ),
    "Group": _object(("group", "policy", *_SUMS), group=_GROUP, policy=_TEXT, **_SUMS),
    "Pool": _object(
        ("name", "policy", "backends", "groups", *_SUMS),
        name=_TEXT,
        policy=_TEXT,
        **_SUMS,
        groups=_list(_ref("Group")),
        retries_by_reason=_COUNTS,
        steps={"type": "object", "additionalProperties": _COUNTS},
        budget_tokens=_NUMBER,
        backends=_list(_ref("Backend")),
    ),
    "Listener": _object(
        ("name", "bind", "protocol", "connections_active", "connections_total", "requests_total"),
        name=_TEXT,
        bind=_list(_TEXT),
        protocol={"type": "string", "enum": ["http", "tcp"]},
        connections_active=_COUNT,
        connections_total=_COUNT,
        requests_total=_COUNT,
        bytes_in=_COUNT,
        bytes_out=_COUNT,
        codes=_COUNTS,
        reasons=_COUNTS,
        rates=_ref("Rates"),
        duration_ms=_ref("Quantiles"),
    ),
    "Status": _object(
        ("time", "pid", "version", "config", "uptime_seconds", "workers", "listeners", "pools"),
        time=_TIME,
        pid=_COUNT,
        version=_TEXT,
        config=_TEXT,
        stopping={"type": "boolean"},
        uptime_seconds=_NUMBER,
        workers=_COUNT,
        connections_per_worker=_list(_COUNT),
        listeners=_list(_ref("Listener")),
        pools=_list(_ref("Pool")),
        memory=_object(
            ("used_bytes", "limit_bytes", "full"),
            used_bytes=_COUNT,
            limit_bytes=_or_null(_COUNT),
            full={"type": "boolean"},
        ),
        access_log=_or_null(_object(("lines", "lost"), lines=_COUNT, lost=_COUNT)),
        chaos=_or_null(_ref("Chaos")),
        io=_or_null(
            _object(
                ("configured", "driver", "why"),
                configured={"type": "string", "enum": ["epoll", "uring", "auto"]},
                driver={"type": "string", "enum": ["epoll", "uring"]},
                why=_or_null(_TEXT),
            )
        ),
        python=_TEXT,
    ),
    "Chaos": _object(
        ("pool", "backend", "fault", "share", "started", "running", "settled", "clients"),
        pool=_TEXT,
        backend=_TEXT,
        fault={"type": "string", "enum": list(FAULTS)},
        share={"type": "number", "minimum": 0, "maximum": 1},
        delay_ms=_or_null(_COUNT),
        checks={"type": "boolean"},
        started=_TIME,
        seconds=_NUMBER,
        running={"type": "boolean"},
        seconds_left=_NUMBER,
        settled={"type": "boolean"},
        played=_ref("Played"),
        played_checks=_ref("Played"),
        noticed=_or_null(
            _object(
                ("after_seconds", "health", "why"),
                after_seconds=_NUMBER,
                health=_HEALTH,
                why=_TEXT,
            )
        ),
        restored_after_seconds=_or_null(_NUMBER),
        clients=_object(
            ("served", "failed", "errors", "slow"),
            served=_COUNT,
            failed=_COUNT,
            errors=_COUNTS,
            left=_COUNT,
            slow_ms=_NUMBER,
            slow=_COUNT,
            slow_expected=_NUMBER,
            p99_ms_before=_or_null(_NUMBER),
        ),
    ),
    "Played": _object(("of", "suffered"), of=_COUNT, suffered=_COUNT),
    "NewChaos": {
        **_object(
            ("pool", "backend", "fault"),
            pool=_TEXT,
            backend=_TEXT,
            fault={"type": "string", "enum": list(FAULTS)},
            share={"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 1},
            seconds={
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": SECONDS_MAX,
                "default": 30,
            },
            delay_seconds={
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": DELAY_SECONDS_MAX,
                "default": 2,
            },
            checks={"type": "boolean", "default": False},
        ),
        "additionalProperties": False,
    },
    "Event": _object(("id", "time", "event"), id=_COUNT, time=_TIME, event=_TEXT),
    "Config": {
        "type": "object",
        "description": "What stands in the file, as JSON; `fairlead schema` prints its form.",
    },
    "Wish": {
        **_object((), state=_STATE, weight=_WEIGHT),
        "additionalProperties": False,
        "minProperties": 1,
    },
    "NewBackend": {
        **_object(
            ("address",),
            address={
                "type": "string",
                "description": "A text that is no address gets 422: a pattern can't say it all.",
                "examples": ["127.0.0.1:8000", "http://127.0.0.1:8001", "unix:/run/app.sock"],
            },
            weight={**_WEIGHT, "default": 1},
            group={**_GROUP, "default": 0},
            max_connections={"type": "integer", "minimum": 1, "maximum": CONNECTIONS_MAX},
            state={**_STATE, "default": "enabled"},
        ),
        "additionalProperties": False,
    },
}
