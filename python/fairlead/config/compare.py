"""Two plans to the steps between them: what a reload changes, said in lines.

Decides what counts as the same thing before and after: a listener and a pool by name, a backend by
its address within the pool, as the engine does. Two plans are equal if and only if there are no
steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from fairlead.config.plan import BackendPlan, ListenerPlan, Plan, PoolPlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Step", "compare"]

Item = TypeVar("Item", ListenerPlan, PoolPlan)


class Step(NamedTuple):
    """One difference.

    Attributes:
        verb: What happens to it.
        what: The thing: ``listener web``, ``backend app/app1:8000``.
        keys: Which of its properties change, for ``change``.
    """

    verb: Literal["add", "remove", "change", "reorder"]
    what: str
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.verb} {self.what}" + (f": {', '.join(self.keys)}" if self.keys else "")


def compare(old: Plan, new: Plan) -> list[Step]:
    """What has to happen to ``old`` to make it ``new``: removals, then changes, then additions."""
    steps = list(_differences(old, new))
    order = ("remove", "change", "reorder", "add")
    return sorted(steps, key=lambda step: order.index(step.verb))


def _differences(old: Plan, new: Plan) -> Iterator[Step]:
    if old == new:
        return
    if old.shutdown_timeout != new.shutdown_timeout:
        yield Step("change", "shutdown_timeout")
    if old.limits != new.limits:
        yield Step("change", "limits")
    if old.access_log != new.access_log:
        yield Step("change", "access_log")
    before, after = _by_name(old.pools), _by_name(new.pools)
    yield from _existence("pool", list(before), list(after))
    for name, pool in after.items():
        if name in before:
            yield from _pool_differences(name, before[name], pool)
    was, now = _by_name(old.listeners), _by_name(new.listeners)
    yield from _existence("listener", list(was), list(now))
    for name, listener in now.items():
        if name in was:
            before_it, after_it = _fields(was[name], old), _fields(listener, new)
            keys = tuple(key for key in after_it if before_it[key] != after_it[key])
            if keys:
                yield Step("change", f"listener {name}", keys)


def _pool_differences(name: str, old: PoolPlan, new: PoolPlan) -> Iterator[Step]:
    before = {backend.address: backend for backend in old.backends}
    after = {backend.address: backend for backend in new.backends}
    yield from _existence(f"backend {name}/", list(before), list(after))
    for address, backend in after.items():
        keys = _changed_keys(before.get(address, backend), backend)
        if keys:
            yield Step("change", f"backend {name}/{address}", keys)
    keys = tuple(key for key in _changed_keys(old, new) if key != "backends")
    if keys:
        yield Step("change", f"pool {name}", keys)


def _existence(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[Step]:
    label = what if what.endswith("/") else f"{what} "
    gone, come = set(before) - set(after), set(after) - set(before)
    yield from (Step("remove", label + name) for name in before if name in gone)
    yield from (Step("add", label + name) for name in after if name in come)
    if [name for name in before if name not in gone] != [
        name for name in after if name not in come
    ]:
        kind, _, pool = label.rstrip("/ ").partition(" ")
        yield Step("reorder", f"{kind}s" + (f" of {pool}" if pool else ""))


def _by_name(items: Sequence[Item]) -> dict[str, Item]:
    return {item.name: item for item in items}


def _changed_keys(old: BackendPlan | PoolPlan, new: BackendPlan | PoolPlan) -> tuple[str, ...]:
    keys = new.__struct_fields__
    return tuple(key for key in keys if getattr(old, key) != getattr(new, key))


def _fields(listener: ListenerPlan, plan: Plan) -> dict[str, object]:
    """The listener with pools by name: their indices may move without meaning anything."""
    fields = {key: getattr(listener, key) for key in listener.__struct_fields__}
    pools = [pool.name for pool in plan.pools]
    fields["pool"] = None if listener.pool is None else pools[listener.pool]
    fields["routes"] = [
        (route.host, route.path, route.methods, route.headers, pools[route.pool])
        for route in listener.routes
    ]
    return fields
