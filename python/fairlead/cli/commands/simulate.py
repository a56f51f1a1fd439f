"""`fairlead simulate`: what would clients see if …, in virtual time.

Decides which pools, backends and faults are played, and how the report looks. Doesn't know how a
world is played: that is the simulator's, the same that the project's own claims are tested in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from fairlead.cli import output
from fairlead.cli.command import Command, Whole, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead.config.plan import Plan, PoolPlan

__all__ = ["FAULTS", "simulate"]

FAULTS = {
    "killed": "its process is killed; connects are refused",
    "blackhole": "its host swallows every packet",
    "flapping": "the same, there and gone each second",
    "no-way-in": "what is sent to it is lost",
    "no-way-out": "what it sends is lost",
    "power-loss": "its host loses power and starts anew",
    "frozen": "its process stands still; the kernel accepts",
    "unreachable": "a router says that there is no way",
    "slow": "everything takes 200 times as long",
    "check-fails": "its check page fails, nothing else",
    "loss30": "three packets of ten are lost",
    "large-lost": "packets over 500 bytes are lost",
    "half-lost": "every second connection is lost",
    "closes": "it accepts, and closes at once",
    "errors": "every other answer is a 500",
    "lags": "answers take 2 s more; its check page doesn't",
    "cuts": "it breaks off in the middle of every other answer",
}


class _Play(NamedTuple):
    """One fault on one backend of one pool; the indices are the plan's."""

    pool: int
    pool_name: str
    backend: int | None
    address: str
    fault: str


@click.command(
    cls=Command,
    examples=[
        ("fairlead simulate", "Each fault on the first backend of each pool."),
        ("fairlead simulate shop.toml --fault frozen --rate 500", "One fault, more traffic."),
        ("fairlead simulate --pool app --backend all --fault killed", "All of them at once."),
    ],
    arguments=[("CONFIG", "The file. Left out: the one that `fairlead run` would use.")],
)
@click.argument("config", metavar="[CONFIG]", required=False)
@click.option("--pool", metavar="NAME", help="This pool alone.")
@click.option(
    "--backend", metavar="ADDRESS", help="Whom it befalls, or `all`. [default: the first]"
)
@click.option(
    "--fault",
    "faults",
    metavar="NAME",
    multiple=True,
    type=click.Choice(list(FAULTS)),
    help=f"One of {', '.join(FAULTS)}; more than one may be given. [default: all]",
)
@click.option("--seconds", default=10.0, show_default=True, help="How long a fault lasts.")
@click.option(
    "--rate",
    type=Whole(1),
    metavar="COUNT",
    default=50,
    show_default=True,
    help="Requests per second and pool.",
)
@click.option("--latency-ms", default=5.0, show_default=True, help="What answers take on average.")
@click.option(
    "--seeds",
    type=Whole(1),
    metavar="COUNT",
    default=3,
    show_default=True,
    help="Worlds that each fault is played in.",
)
@click.option(
    "--seed",
    type=Whole(),
    metavar="NUMBER",
    default=0,
    show_default=True,
    help="The first; equal seeds make equal worlds.",
)
@json_option
def simulate(
    config: str | None,
    *,
    pool: str | None,
    backend: str | None,
    faults: tuple[str, ...],
    as_json: bool,
    **numbers: Any,
) -> int:
    """Play faults on the pools of a configuration and tell what clients would see.

    Nothing is started, opened or resolved beyond the configuration's names. The pools' policies,
    checks, timeouts, retries and groups are as configured; backends, network and clients are made
    up, and their time is virtual. Every fifth request is a POST, which is never sent twice.
    A policy in Python is not asked (round-robin picks); checks by command or in Python pass where
    somebody answers.
    """
    plan = _plan(config)
    plays = list(_plays(plan, pool, backend, faults or tuple(FAULTS)))
    rows = [_played(plan, play, numbers) for play in plays]
    if as_json:
        output.json_data({"plays": rows})
        return 0
    heads = ("POOL", "BACKEND", "FAULT", "REQUESTS", "FAILED", "POSTS", "LATE", "TROUBLE", "BACK")
    output.data(output.table(heads, [_cells(row) for row in rows], range(3, 9)))
    output.tell(
        "FAILED: no answer, or an error; POSTS: those of them that may not be sent twice; LATE: "
        "250 ms later than usual; TROUBLE: until the last of these began; BACK: from the fault's "
        "end until the backend is used again (the worst world)"
    )
    return 0


def _plan(config: str | None) -> Plan:
    import os

    from fairlead import _engine
    from fairlead.config.loaded import load_file
    from fairlead.config.read import find

    return load_file(config or str(find(os.environ)), _engine).value


def _plays(
    plan: Plan, pool: str | None, backend: str | None, faults: tuple[str, ...]
) -> Iterator[_Play]:
    played = _of_http(plan)
    names = [each.name for each in plan.pools]
    if pool is not None and pool not in names:
        raise click.UsageError(f"there is no pool `{pool}`; there are {', '.join(names)}")
    meant = _meant(plan, pool, backend)
    for index, each in enumerate(plan.pools):
        if each.name not in meant:
            continue
        if index not in played:
            output.tell(f"pool {each.name} is for tcp, and only http is played")
            continue
        which, address = _backend(each, backend)
        for fault in faults:
            yield _Play(index, each.name, which, address, fault)


def _meant(plan: Plan, pool: str | None, backend: str | None) -> set[str]:
    """The pools to play: the one that was named, or all; those with the backend, if any has it."""
    asked = [each for each in plan.pools if pool in (None, each.name)]
    having = [each for each in asked if backend in {row.address for row in each.backends}]
    return {each.name for each in having or asked}


def _of_http(plan: Plan) -> set[int]:
    """The pools that an http listener uses."""
    found: set[int] = set()
    for listener in plan.listeners:
        if listener.protocol == "http":
            found.update(route.pool for route in listener.routes)
            found.update({listener.pool} - {None})  # type: ignore[arg-type]
    return found


def _backend(pool: PoolPlan, wanted: str | None) -> tuple[int | None, str]:
    addresses = [backend.address for backend in pool.backends]
    if wanted == "all":
        return None, "all"
    if wanted is None:
        return 0, addresses[0]
    if wanted not in addresses:
        text = f"pool {pool.name} has no backend `{wanted}`; it has {', '.join(addresses)}"
        raise click.UsageError(text)
    return addresses.index(wanted), wanted


def _played(plan: Plan, play: _Play, numbers: dict[str, Any]) -> dict[str, Any]:
    import json

    from fairlead import _engine

    try:
        told = _engine.simulate(
            plan.encode(),
            play.pool,
            play.backend,
            play.fault,
            seconds=numbers["seconds"],
            rate=numbers["rate"],
            latency=numbers["latency_ms"] / 1000,
            seeds=numbers["seeds"],
            seed=numbers["seed"],
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    named = {"pool": play.pool_name, "backend": play.address, "fault": play.fault}
    seen: dict[str, Any] = json.loads(told)
    return named | {"means": FAULTS[play.fault]} | seen


def _cells(row: dict[str, Any]) -> list[str]:
    counts = [str(row[key]) for key in ("requests", "failed", "failed_posts", "late")]
    times = [_seconds(row[key]) for key in ("trouble_seconds", "back_seconds")]
    return [row["pool"], row["backend"], row["fault"], *counts, *times]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
