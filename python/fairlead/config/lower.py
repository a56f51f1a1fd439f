"""`Config` to `Plan`: names become addresses, references become indices, every option is closed.

Pure but for the resolver that is handed in: the same configuration, answers and file limit make
the same plan. What was checked by `parse` is not checked again; a name that doesn't resolve is the
one thing that can still be wrong.
"""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

from fairlead.config import plan, units
from fairlead.config.spelling import is_named
from fairlead.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fairlead.config.form import Path
    from fairlead.config.place import Place
    from fairlead.config.resolve import Answer
    from fairlead.config.schema import (
        AccessLog,
        Check,
        Config,
        Limits,
        Listener,
        Pool,
        Retry,
        Route,
    )
    from fairlead.config.schema_keepalive import Keepalive

__all__ = ["lower", "names"]

# What is never given to clients: standard streams, the log, the interpreter's own, the control
# socket and some of its clients, those who are being told that there is no room, and some of each
# worker.
_DESCRIPTORS_KEPT = 64

# And a sixteenth of all, up to so many, for probes, listening sockets and many workers. It doesn't
# depend on how many there are: a backend more should not move a limit of clients.
_DESCRIPTORS_PER_PROBE = 16
_PROBES_AT_ONCE = 1_000

# An empty instance has 25 MiB; below twice that it would be full for next to nothing.
_LEAST_MEMORY = 64 << 20

# However many all that is, so much of the descriptors is left for clients.
_LEAST_LEFT = 0.25

_IDLE_HTTP = timedelta(seconds=60)
_IDLE_TCP = timedelta(hours=1)


def names(config: Config) -> dict[str, Path]:
    """The host names of a configuration, each with the path of a value that has it."""
    found: dict[str, Path] = {}
    for pool_name, pool in config.pools.items():
        for index, backend in enumerate(pool.backends):
            path: Path = ("pools", pool_name, "backends", index)
            _note(backend.address, path, found)
    for listener_name, listener in config.listeners.items():
        for index, bind in enumerate(listener.bind):
            _note(bind, ("listeners", listener_name, "bind", index), found)
    return found


def is_name(address: str) -> bool:
    """Whether an address has to be looked up.

    >>> [is_name(each) for each in ("app:80", "10.0.0.1:80", "[::1]:80", "unix:/run/app")]
    [True, False, False, False]
    """
    host = units.split_address(address).host
    return host is not None and not _is_literal(host)


def _note(text: str, path: Path, found: dict[str, Path]) -> None:
    host = units.split_address(text).host
    if host is not None and not _is_literal(host):
        found.setdefault(host.lower(), path)


def _is_literal(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdecimal()


def lower(
    config: Config,
    answers: Mapping[str, Answer],
    descriptors: int,
    places: Mapping[Path, Place] | None = None,
    memory: int | None = None,
) -> plan.Plan:
    """Make the plan.

    Args:
        config: From `parse`.
        answers: Of each name in `names`.
        descriptors: How many file descriptors this process may have.
        places: Where the values stand, for errors.
        memory: Bytes of memory that the machine or the container has; ``None`` if nobody knows.

    Raises:
        ConfigErrors: Code ``name.unresolved`` for each name without an address.
    """
    unresolved = [
        _unresolved(name, answers[name].problem, path, places or {})
        for name, path in names(config).items()
        if not answers[name].addresses
    ]
    if unresolved:
        raise ConfigErrors(unresolved)
    pools = {name: index for index, name in enumerate(config.pools)}
    overall = _overall(config, descriptors, memory)
    return plan.Plan(
        listeners=tuple(
            _listener(name, listener, pools, answers, overall)
            for name, listener in config.listeners.items()
        ),
        pools=tuple(_pool(name, pool, answers) for name, pool in config.pools.items()),
        shutdown_timeout=_ms(config.shutdown_timeout),
        access_log=_access_log(config.access_log),
        limits=overall,
    )


def _unresolved(name: str, problem: str, path: Path, places: Mapping[Path, Place]) -> ConfigError:
    place = next((places[at] for at in ((*path, "address"), path, path[:-1]) if at in places), None)
    found = f"`{name}` can't be resolved: {problem}"
    hint = "check the name, or write its IP address"
    return ConfigError("name.unresolved", found, "a name with an address", place, hint)


def _access_log(log: AccessLog | None) -> plan.AccessLog | None:
    return plan.AccessLog(log.to, log.format) if log else None


def _ms(value: timedelta) -> int:
    return value // timedelta(milliseconds=1)


# ----------------------------------------------------------------------------------------- listeners


def _listener(
    name: str,
    listener: Listener,
    pools: Mapping[str, int],
    answers: Mapping[str, Answer],
    overall: plan.OverallLimits,
) -> plan.ListenerPlan:
    times = listener.timeouts
    idle = times.idle or (_IDLE_TCP if listener.protocol == "tcp" else _IDLE_HTTP)
    return plan.ListenerPlan(
        name=name,
        bind=tuple(bind for text in listener.bind for bind in _binds(text, answers)),
        protocol=listener.protocol,
        pool=None if listener.pool is None else pools[listener.pool],
        routes=tuple(_route(route, pools) for route in listener.routes),
        timeouts=plan.ListenerTimeouts(
            _ms(times.head), _ms(times.body), _ms(idle), _ms(times.tunnel)
        ),
        limits=_limits(listener.limits, overall),
        trusted_proxies=tuple(map(_network, listener.trusted_proxies)),
        keepalive=_keepalive(listener.tcp_keepalive),
        via=None if listener.via == "off" or listener.protocol == "tcp" else listener.via,
        proxy_protocol=listener.proxy_protocol,
    )


def _binds(text: str, answers: Mapping[str, Answer]) -> Iterable[plan.Bind]:
    address = units.split_address(text)
    if address.path is not None:
        return [plan.Unix(address.path)]
    if address.inherited is not None:
        return [plan.Inherited(address.inherited)]
    if address.host is None:
        return [plan.AnyAddress(address.port)]
    return _tcp(address, answers)


def _tcp(address: units.Address, answers: Mapping[str, Answer]) -> list[plan.Tcp]:
    host = address.host or ""
    hosts = [host] if _is_literal(host) else answers[host.lower()].addresses
    return [plan.Tcp(str(units.Address(each, address.port))) for each in hosts]


def _limits(limits: Limits, overall: plan.OverallLimits) -> plan.Limits:
    return plan.Limits(
        limits.head,
        limits.headers,
        limits.body,
        limits.connections or overall.connections,
        limits.target,
        limits.pipelined,
        limits.connections_per_client,
        limits.requests,
        limits.min_rate,
        limits.trailers,
        limits.trailer_bytes,
        limits.chunk_line,
        limits.chunk_excess,
    )


def _overall(config: Config, descriptors: int, memory: int | None) -> plan.OverallLimits:
    """The limits of the instance, which has so many descriptors on a machine with this memory."""
    kept = _DESCRIPTORS_KEPT + min(descriptors // _DESCRIPTORS_PER_PROBE, _PROBES_AT_ONCE)
    left = max(descriptors - kept, int(descriptors * _LEAST_LEFT), 1)
    wanted = config.limits.connections
    if wanted is None:
        # Where a listener asks for more than this, it is its word that they needn't all be served
        # at a time.
        asked = sum(listener.limits.connections or 0 for listener in config.listeners.values())
        # Each client connection may need one to a backend.
        wanted = max(min(left // 2, 1_000_000), asked, 1)
    half = None if memory is None else max(memory // 2, _LEAST_MEMORY)
    return plan.OverallLimits(min(wanted, left), config.limits.memory or half)


def _network(text: str) -> plan.Network:
    address, _, prefix = text.partition("/")
    # One spelling for each address, so that equal plans are equal.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    plain = socket.inet_ntop(family, socket.inet_pton(family, address))
    return plan.Network(plain, int(prefix))


def _route(route: Route, pools: Mapping[str, int]) -> plan.RoutePlan:
    host: plan.Exact | plan.Below | None = None
    if route.host is not None:
        below = route.host.removeprefix("*.")
        host = plan.Exact(below) if below == route.host else plan.Below(below)
    path: plan.Prefix | plan.Exact | plan.Regex | None = None
    if route.path is not None:
        path = plan.Prefix(route.path)
    elif route.path_exact is not None:
        path = plan.Exact(route.path_exact)
    elif route.path_regex is not None:
        path = plan.Regex(route.path_regex)
    return plan.RoutePlan(
        host=host,
        path=path,
        methods=route.method,
        headers=tuple(map(_header, route.header)),
        pool=pools[route.pool],
    )


def _header(text: str) -> tuple[str, str | None]:
    name, colon, value = text.partition(": ")
    return name, value if colon else None


# --------------------------------------------------------------------------------------------- pools


def _pool(name: str, pool: Pool, answers: Mapping[str, Answer]) -> plan.PoolPlan:
    times = pool.timeouts
    return plan.PoolPlan(
        name=name,
        # What picks where Python doesn't.
        policy="round-robin" if is_named(pool.policy) else pool.policy,
        python=_python(pool),
        hash_on=_hash_on(pool.hash_on),
        backends=tuple(
            plan.BackendPlan(
                address=backend.address,
                endpoints=_endpoints(backend.address, answers),
                weight=backend.weight,
                group=backend.group,
                max_connections=backend.max_connections,
                state=backend.state,
            )
            for backend in pool.backends
        ),
        check=_check(pool.check),
        timeouts=plan.PoolTimeouts(
            _ms(times.connect), _ms(times.response), _ms(times.idle), _ms(times.keepalive)
        ),
        retry=_retry(pool.retry),
        outlier=plan.Outlier(
            round(pool.outlier.max_ejected * 10_000), pool.outlier.latency == "auto"
        ),
        slow_start=_ms(pool.slow_start),
        source=pool.source,
        hash_table=pool.hash_table,
        groups=tuple(plan.GroupPlan(group.group, group.policy) for group in pool.groups),
        keepalive=_keepalive(pool.tcp_keepalive),
        proxy_protocol=pool.proxy_protocol,
    )


def _keepalive(keepalive: Keepalive | None) -> plan.Keepalive | None:
    if keepalive is None:
        return None
    return plan.Keepalive(_ms(keepalive.idle), _ms(keepalive.interval), keepalive.probes)


def _python(pool: Pool) -> plan.Python | None:
    if not is_named(pool.policy):
        return None
    return plan.Python(pool.policy, _ms(pool.policy_timeout), pool.body_prefix or 0)


def _endpoints(text: str, answers: Mapping[str, Answer]) -> tuple[plan.Endpoint, ...]:
    address = units.split_address(text)
    if address.path is not None:
        return (plan.Unix(address.path),)
    return tuple(_tcp(address, answers))


def _hash_on(text: str) -> str | plan.Header | plan.Cookie:
    kind, _, name = text.partition(":")
    if kind == "header":
        return plan.Header(name)
    if kind == "cookie":
        return plan.Cookie(name)
    return text.replace("-", "_")


def _check(check: Check) -> plan.CheckPlan:
    in_python = ("command", "python")
    kind: str | plan.Http = "external" if check.type in in_python else check.type
    if check.type == "http":
        kind = plan.Http(plan.HttpCheck(check.method, check.path, check.host, check.expect_status))
    return plan.CheckPlan(
        kind=kind,
        interval=_ms(check.interval),
        fast_interval=_ms(check.interval_in_doubt),
        timeout=_ms(check.timeout),
        rise=check.rise,
        fall=check.fall,
    )


def _retry(retry: Retry) -> plan.Retry:
    return plan.Retry(
        attempts=retry.attempts,
        same_backend=retry.same_backend,
        delay=_ms(retry.delay),
        hedge=retry.hedge == "auto",
        budget=round(retry.budget * 10_000),
        hold=_ms(retry.hold),
    )
