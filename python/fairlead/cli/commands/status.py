"""`fairlead status`: listeners, pools and backends at this moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from fairlead.cli import output
from fairlead.cli.command import Command, instance_option, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead.model import Backend, Pool, Rates, Status, Totals

__all__ = ["render", "status"]

_HEALTH_ROLES = {"healthy": "good", "suspect": "doubt", "down": "bad", "unknown": "quiet"}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@click.command(
    cls=Command,
    examples=[
        ("fairlead status", "Everything at a glance."),
        ("fairlead status --history", "And when each backend changed lately, and why."),
        ("watch -n1 --color FORCE_COLOR=1 fairlead status", "Again every second."),
        ("fairlead status --json | jq '.pools[].backends[]'", "For programs."),
    ],
)
@click.option("--history", is_flag=True, help="Show the last changes of each backend, too.")
@instance_option
@json_option
def status(instance: str | None, *, history: bool, as_json: bool) -> None:
    """Show listeners, pools and the health of each backend with its reason."""
    from fairlead.cli.ask import find

    answer = find(instance).ask("GET", "/v1/status")
    if as_json:
        output.data(answer.body.decode().rstrip("\n"))
    else:
        output.data(render(answer.json, history=history))


def render(answer: dict[str, Any], *, history: bool = False) -> str:
    """What ``GET /v1/status`` answers, as a person should see it.

    Args:
        answer: The answer.
        history: Whether to list the last changes of each backend, too.
    """
    from fairlead.model import Status

    now = Status.from_json(answer)
    parts = [_heading(answer, now), _stuck(answer), _chaos(answer), _access_log(answer)]
    parts += [_listeners(now), _pools(now), _policies(now), _backends(now)]
    if history:
        parts.append(_history(now))
    return "\n\n".join(part for part in parts if part)


def _heading(answer: dict[str, Any], now: Status) -> str:
    words = [
        f"fairlead {answer.get('version', '')}".rstrip(),
        f"pid {answer['pid']}" if "pid" in answer else "",
        str(answer.get("config") or ""),
        f"{now.workers} worker{'s' if now.workers != 1 else ''}",
        f"up {_span(now.uptime_seconds)}",
        "stopping" if answer.get("stopping") else "",
    ]
    return " · ".join(word for word in words if word)


def _stuck(answer: dict[str, Any]) -> str:
    """That Python is away, and what that means for an operator."""
    told = answer.get("python")
    if not told:
        return ""
    what = (
        "traffic, checks by the engine, drain, disable, enable and weight go on; "
        "the rest is refused until it is back"
    )
    return output.paint(f"python: {told}: {what}", "bad")


def _chaos(answer: dict[str, Any]) -> str:
    """What is played on purpose, so that nobody looks for a cause."""
    told = answer.get("chaos")
    if not told:
        return ""
    from fairlead.cli.commands.chaos import line

    return output.paint(f"chaos: {line(told)} (`fairlead chaos` says more)", "doubt")


def _access_log(answer: dict[str, Any]) -> str:
    """What became of the access log's lines, if there is one."""
    told = answer.get("access_log")
    if not told:
        return ""
    lines, lost = told.get("lines", 0), told.get("lost", 0)
    text = f"access log: {_count(lines)} lines written, {_count(lost)} lost"
    return output.paint(text, "doubt") if lost else text


def _listeners(now: Status) -> str:
    rows = [
        [
            each.name,
            ", ".join(each.bind),
            each.protocol,
            _count(each.connections_active),
            _count(each.requests_total if each.protocol == "http" else each.connections_total),
            _rate(each.rates),
            _milliseconds(each.duration_ms.p50),
            _milliseconds(each.duration_ms.p99),
            _reasons(each.reasons),
        ]
        for each in now.listeners
    ]
    heads = ["LISTENER", "ADDRESS", "PROTOCOL", "CONNECTIONS", "SERVED", "RATE"]
    heads += ["P50", "P99", "FAILED"]
    return output.table(heads, rows, numbers=range(3, 8)) if rows else ""


def _reasons(reasons: dict[str, int]) -> str:
    """Why requests or connections failed, the most frequent reason first."""
    told = sorted(reasons.items(), key=lambda item: -item[1])
    return ", ".join(f"{_count(count)} {code}" for code, count in told if code != "ok")


def _pools(now: Status) -> str:
    """A line for each group of each pool."""
    rows = [
        _group_row(pool, group, totals)
        for pool in now.pools
        for group, totals in sorted(pool.groups.items())
    ]
    heads = ["POOL", "GROUP", "POLICY", "AVAILABLE", "ACTIVE", "REQUESTS", "RATE", "P50"]
    heads += ["P90", "P99", "P99.9", "FAILURES"]
    return output.table(heads, rows, numbers=(1, *range(3, 11))) if rows else ""


def _group_row(pool: Pool, group: int, totals: Totals) -> list[str]:
    size = sum(backend.group == group for backend in pool.backends)
    available = f"{totals.available}/{size}"
    role = "bad" if not totals.available else "doubt" if totals.available < size else ""
    latency = totals.latency_ms
    return [
        pool.name,
        str(group),
        pool.group_policies.get(group, pool.policy),
        output.paint(available, role),
        _count(totals.active),
        _count(totals.requests),
        _rate(totals.rates),
        *map(_milliseconds, (latency.p50, latency.p90, latency.p99, latency.p999)),
        _reasons(totals.failures_by_reason),
    ]


def _policies(now: Status) -> str:
    """A line for each policy in Python."""
    rows = [
        [
            pool.name,
            pool.policy,
            output.paint("stuck", "bad") if each.stuck else "working",
            _decisions(pool.steps.get("policy_decisions", {})) if each.picks else "-",
            _count(each.scores),
            _count(each.score_failures),
            each.trouble,
        ]
        for pool in now.pools
        if (each := pool.python) is not None
    ]
    heads = ["POOL", "POLICY IN PYTHON", "NOW", "PICKS", "SCORES", "FAILED", "LAST TROUBLE"]
    return output.table(heads, rows, numbers=(4, 5)) if rows else ""


def _decisions(results: dict[str, int]) -> str:
    """What came of asking a policy: ``1,200 chosen, 3 late``."""
    return ", ".join(f"{_count(count)} {result}" for result, count in results.items() if count)


def _backends(now: Status) -> str:
    rows = [_row(pool.name, backend, now.time) for pool in now.pools for backend in pool.backends]
    heads = [
        "POOL",
        "BACKEND",
        "GROUP",
        "WEIGHT",
        "STATE",
        "HEALTH",
        "FOR",
        "ACTIVE",
        "REQUESTS",
        "RATE",
        "FAILURES",
        "P50",
        "P99",
        "REASON",
    ]
    return output.table(heads, rows, numbers=(2, 3, *range(6, 13))) if rows else ""


def _row(pool: str, backend: Backend, now: datetime | None) -> list[str]:
    state_role = "" if backend.state == "enabled" else "doubt"
    return [
        pool,
        backend.address,
        str(backend.group),
        str(backend.weight),
        output.paint(backend.state, state_role),
        output.paint(backend.health, _HEALTH_ROLES.get(backend.health, "")),
        _age(backend.since, now),
        _count(backend.active),
        _count(backend.requests),
        _rate(backend.rates),
        _count(backend.failures),
        _milliseconds(backend.latency_ms.p50),
        _milliseconds(backend.latency_ms.p99),
        # Of the healthy nobody asks why.
        "" if backend.health == "healthy" else backend.reason,
    ]


def _history(now: Status) -> str:
    """The last changes of all backends, oldest first."""
    changes = [
        (change, pool.name, backend.address)
        for pool in now.pools
        for backend in pool.backends
        for change in backend.history
    ]
    changes.sort(key=lambda row: row[0].time or _LONG_AGO)
    rows = [
        [
            _age(change.time, now.time),
            pool,
            address,
            change.before,
            output.paint(change.after, _HEALTH_ROLES.get(change.after, "doubt")),
            change.why,
        ]
        for change, pool, address in changes
    ]
    heads = ["AGO", "POOL", "BACKEND", "FROM", "TO", "WHY"]
    return output.table(heads, rows, numbers=(0,)) if rows else "nothing has changed so far"


def _rate(rates: Rates) -> str:
    """Requests per second over the last ten: long enough to be read, short enough to be now."""
    rate = rates.requests.last_10_seconds
    return f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}"


def _count(number: int) -> str:
    return f"{number:,}"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"


def _age(since: datetime | None, now: datetime | None) -> str:
    return _span((now - since).total_seconds()) if since and now else "-"


def _span(seconds: float) -> str:
    """A duration in its two largest units.

    >>> [_span(seconds) for seconds in (0.4, 75, 3 * 3600 + 12 * 60, 200_000)]
    ['0s', '1m15s', '3h12m', '2d7h']
    """
    whole = max(0, int(seconds))
    return "".join(_units(whole))


def _units(seconds: int) -> Iterator[str]:
    sizes = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    largest = next((index for index, (_, size) in enumerate(sizes) if seconds >= size), 3)
    for unit, size in sizes[largest : largest + 2]:
        count, seconds = divmod(seconds, size)
        if count or unit == sizes[largest][0]:
            yield f"{count}{unit}"
