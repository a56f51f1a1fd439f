"""What must hold between values: names that refer, addresses that are given once, keys that fit.

One function for each rule, listed in `check`. Every rule looks at the whole configuration once,
so that the time grows with its size and not with its square. Doesn't know how values are spelled,
nor what the network looks like.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from fairlead.config import spelling, units
from fairlead.config.spelling import is_named
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead.config.form import Path, Reading
    from fairlead.config.place import Place
    from fairlead.config.schema import Config, Listener, Pool, Route

__all__ = ["check"]


def check(config: Config, reading: Reading) -> None:
    """Report every rule that the configuration breaks."""
    _something_to_do(config, reading)
    _binds_are_given_once(config, reading)
    _admin_is_guarded(config, reading)
    for name, listener in config.listeners.items():
        _listener_has_a_pool(name, listener, reading)
        _tcp_has_no_routes(name, listener, reading)
        _proxies_are_named(name, listener, reading)
        _references_exist(name, listener, config, reading)
        for index, route in enumerate(listener.routes):
            _route_has_one_path(("listeners", name, "routes", index), route, reading)
    for name, pool in config.pools.items():
        _backends_are_given_once(name, pool, reading)
        _check_keys_fit_the_type(name, pool, reading)
        _hash_is_used(name, pool, reading)
        _groups_have_backends(name, pool, reading)
        _python_is_used(name, pool, reading)
    _tcp_hashes_on_addresses(config, reading)


def _place(reading: Reading, *paths: Path) -> Place | None:
    """The place of the first of these values that stands in the text."""
    return next((reading.places[path] for path in paths if path in reading.places), None)


def _something_to_do(config: Config, reading: Reading) -> None:
    if not config.listeners and ("listeners",) in reading.places:
        if any(path[0] == "listeners" for path in reading.broken):
            return  # There are some, all of them wrong, and that is told.
        place = reading.places[("listeners",)]
        expected = "at least one, `[listeners.NAME]`"
        reading.report(ConfigError("list.empty", "there is no listener", expected, place))


def _binds_are_given_once(config: Config, reading: Reading) -> None:
    taken: dict[str, tuple[str, str]] = {}
    for who, bind, path in _binds(config):
        keys, rivals = _bind_keys(bind)
        clash = next((taken[key] for key in rivals if key in taken), None)
        if clash:
            other, spelled = clash
            found = f"`{bind}` is taken by {other} already"
            hint = f"`{spelled}` and `{bind}` overlap" if spelled != bind else None
            place = _place(reading, path, path[:-1])
            error = ConfigError("bind.duplicate", found, "each address once", place, hint)
            reading.report(error)
        for key in keys:
            taken.setdefault(key, (who, bind))


def _binds(config: Config) -> Iterator[tuple[str, str, Path]]:
    """Who listens where, with the path of the value that says so."""
    for name, listener in config.listeners.items():
        for index, bind in enumerate(listener.bind):
            yield f"listener `{name}`", bind, ("listeners", name, "bind", index)
    if config.admin and config.admin.listen:
        yield "`admin`", config.admin.listen, ("admin", "listen")


def _bind_keys(bind: str) -> tuple[list[str], list[str]]:
    """What a bind takes, and what nobody may have taken before it.

    One address of this machine clashes with all of them, but not with another one. Port 0 takes
    nothing: each gets another. What a name stands for isn't known here.

    >>> _bind_keys("127.0.0.1:80")
    (['127.0.0.1:80', 'one4:80'], ['127.0.0.1:80', 'any4:80'])
    >>> _bind_keys("0.0.0.0:80")
    (['any4:80'], ['any4:80', 'one4:80'])
    """
    address = units.split_address(bind)
    if address.path is not None or address.inherited is not None:
        return [bind], [bind]
    if address.port == 0:
        return [], []
    if address.host in (None, "0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        families = {"0.0.0.0": "4", "::": "6", None: "46"}[address.host]  # noqa: S104
        keys = [f"any{family}:{address.port}" for family in families]
        return keys, keys + [f"one{family}:{address.port}" for family in families]
    exact, family = bind.lower(), _family(address.host)
    if family is None:
        return [exact], [exact]
    return [exact, f"one{family}:{address.port}"], [exact, f"any{family}:{address.port}"]


def _family(host: str) -> int | None:
    try:
        return ip_address(host).version
    except ValueError:
        return None


def _admin_is_guarded(config: Config, reading: Reading) -> None:
    admin = config.admin
    if admin is None:
        return
    if admin.token is not None and admin.token_file is not None:
        place = _place(reading, ("admin", "token_file"), ("admin",))
        found = "`token_file` stands beside `token`"
        reading.report(ConfigError("admin.token", found, "one of the two", place))
    broken = any(("admin", key) in reading.broken for key in ("listen", "token", "token_file"))
    if broken or not admin.listen or not spelling.is_open(admin.listen):
        return
    if admin.token is None and admin.token_file is None:
        place = _place(reading, ("admin", "listen"), ("admin",))
        found = f"`{admin.listen}` can be reached from other machines"
        expected = "a loopback address such as `127.0.0.1:9100`, or a token"
        hint = 'add `token_file = "/etc/fairlead/token"`'
        reading.report(ConfigError("address.open", found, expected, place, hint))


def _listener_has_a_pool(name: str, listener: Listener, reading: Reading) -> None:
    if listener.pool is None and not listener.routes and not _has(reading, name, "routes", "pool"):
        place = _place(reading, ("listeners", name))
        expected = "`pool`, the name of a pool" + (" (or routes)" * (listener.protocol == "http"))
        found = f"listener `{name}` has nowhere to send anything"
        reading.report(ConfigError("key.missing", found, expected, place))


def _has(reading: Reading, name: str, *keys: str) -> bool:
    return any(("listeners", name, key) in reading.places for key in keys)


def _tcp_has_no_routes(name: str, listener: Listener, reading: Reading) -> None:
    if listener.protocol == "tcp" and listener.routes:
        place = _place(reading, ("listeners", name, "routes", 0), ("listeners", name, "routes"))
        found = f"listener `{name}` is tcp and can't have routes"
        expected = 'routes only where `protocol = "http"`: bytes of tcp have no host and no path'
        reading.report(ConfigError("route.tcp", found, expected, place))


def _proxies_are_named(name: str, listener: Listener, reading: Reading) -> None:
    by_tcp = any(units.split_address(bind).path is None for bind in listener.bind if bind)
    if not listener.proxy_protocol or listener.trusted_proxies or not by_tcp:
        return
    if any(path[:3] == ("listeners", name, "trusted_proxies") for path in reading.broken):
        return  # There are some, all of them wrong, and that is told.
    place = _place(reading, ("listeners", name, "proxy_protocol"), ("listeners", name))
    found = f"listener `{name}` expects PROXY headers, and trusts nobody's"
    expected = "`trusted_proxies`, the networks that the proxies connect from"
    hint = 'add `trusted_proxies = ["10.0.0.0/8"]`, with the addresses of your own'
    reading.report(ConfigError("proxy.nobody", found, expected, place, hint))


def _references_exist(name: str, listener: Listener, config: Config, reading: Reading) -> None:
    if ("pools",) not in reading.places:
        return  # told already
    references: list[tuple[str | None, Path]] = [(listener.pool, ("listeners", name, "pool"))]
    references += [
        (route.pool, ("listeners", name, "routes", index, "pool"))
        for index, route in enumerate(listener.routes)
    ]
    for pool, path in references:
        # An empty name is a mistake that was told already.
        if pool and pool not in config.pools and ("pools", pool) not in reading.places:
            hint = reading.meant(pool, config.pools)
            hint = hint or f"add `[pools.{pool}]`"
            found = f"there is no pool `{pool}`"
            place = _place(reading, path)
            reading.report(ConfigError("pool.unknown", found, _known_pools(config), place, hint))


def _known_pools(config: Config) -> str:
    names = list(config.pools)
    if not names:
        return "the name of a pool"
    if len(names) == 1:
        return f"`{names[0]}`, the only pool"
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return f"one of {shown}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _route_has_one_path(path: Path, route: Route, reading: Reading) -> None:
    given = [key for key in ("path", "path_exact", "path_regex") if getattr(route, key) is not None]
    if len(given) > 1:
        place = _place(reading, (*path, given[1]))
        found = f"`{given[1]}` stands beside `{given[0]}`"
        expected = "one of `path`, `path_exact` and `path_regex`"
        reading.report(ConfigError("route.paths", found, expected, place))


def _backends_are_given_once(name: str, pool: Pool, reading: Reading) -> None:
    seen: set[str] = set()
    for index, backend in enumerate(pool.backends):
        if not backend.address:
            continue  # told already
        is_path = backend.address.startswith("unix:")
        key = backend.address if is_path else backend.address.lower()
        if key in seen:
            path: Path = ("pools", name, "backends", index)
            place = _place(reading, (*path, "address"), path)
            found = f"`{backend.address}` is in pool `{name}` already"
            hint = "to give it more traffic, give it more weight"
            reading.report(ConfigError("backend.duplicate", found, "each once", place, hint))
        seen.add(key)


# Which keys of a check belong to which type.
_KEYS_OF_TYPES = {
    "path": "http",
    "method": "http",
    "host": "http",
    "expect_status": "http",
    "command": "command",
    "function": "python",
}

# What a type of check can't do without, with an example.
_NEEDED = {
    "command": ("command", '"pg_isready -h $FAIRLEAD_HOST"'),
    "python": ("function", '"my_checks:is_well"'),
}


def _check_keys_fit_the_type(name: str, pool: Pool, reading: Reading) -> None:
    needed, example = _NEEDED.get(pool.check.type, ("", ""))
    path: Path = ("pools", name, "check")
    if needed and not getattr(pool.check, needed) and (*path, needed) not in reading.broken:
        place = _place(reading, (*path, "type"), path, ("defaults", "check", "type"))
        expected = f"`{needed}`, such as {example}"
        found = f"the check of pool `{name}` has no `{needed}`"
        reading.report(ConfigError("key.missing", found, expected, place))
    if ("pools", name, "check", "type") in reading.broken:
        return
    for key, belongs_to in _KEYS_OF_TYPES.items():
        place = _place(reading, ("pools", name, "check", key))
        if place is not None and pool.check.type != belongs_to:
            found = f"`{key}` means nothing to a {pool.check.type} check"
            expected = f'it only beside `type = "{belongs_to}"`'
            hint = f'add `type = "{belongs_to}"`' if pool.check.type == "tcp" else None
            reading.report(ConfigError("check.key", found, expected, place, hint))


def _hash_is_used(name: str, pool: Pool, reading: Reading) -> None:
    if ("pools", name, "policy") in reading.broken or _hashes(pool):
        return
    for key in ("hash_on", "hash_table"):
        place = _place(reading, ("pools", name, key))
        if place is not None:
            found = f"`{key}` means nothing to policy `{pool.policy}`"
            hint = 'add `policy = "hash"`'
            expected = 'it only beside `policy = "hash"`'
            reading.report(ConfigError("policy.key", found, expected, place, hint))


def _hashes(pool: Pool) -> bool:
    return "hash" in (pool.policy, *(group.policy for group in pool.groups))


def _groups_have_backends(name: str, pool: Pool, reading: Reading) -> None:
    existing = {backend.group for backend in pool.backends}
    told: set[int] = set()
    for index, group in enumerate(pool.groups):
        path: Path = ("pools", name, "groups", index)
        place = _place(reading, (*path, "group"), path)
        if group.group in told:
            found = f"group {group.group} stands here twice"
            reading.report(ConfigError("group.duplicate", found, "each group once", place))
        elif group.group not in existing and ("pools", name, "backends") not in reading.broken:
            found = f"pool `{name}` has no backend of group {group.group}"
            known = ", ".join(map(str, sorted(existing)))
            reading.report(ConfigError("group.unknown", found, f"one of {known}", place))
        told.add(group.group)


def _python_is_used(name: str, pool: Pool, reading: Reading) -> None:
    if is_named(pool.policy) or ("pools", name, "policy") in reading.broken:
        return
    for key in ("policy_timeout", "body_prefix"):
        place = _place(reading, ("pools", name, key))
        if place is not None:
            found = f"`{key}` means nothing to policy `{pool.policy}`"
            expected = "it only beside a policy in Python, `module:attribute`"
            reading.report(ConfigError("policy.key", found, expected, place))


def _tcp_hashes_on_addresses(config: Config, reading: Reading) -> None:
    for name, listener in config.listeners.items():
        pool = config.pools.get(listener.pool or "")
        if listener.protocol != "tcp" or pool is None or not _hashes(pool):
            continue
        if pool.hash_on != "source-ip":
            place = _place(
                reading,
                ("pools", listener.pool or "", "hash_on"),
                ("defaults", "hash_on"),
            )
            found = f"`{pool.hash_on}` can't be hashed for listener `{name}`, which is tcp"
            reading.report(ConfigError("policy.key", found, '"source-ip"', place))
