"""`POOL/BACKEND` on the command line: finding the one that is meant.

Decides how a backend may be named. What is wanted of it is the commands' business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead.cli.ask import find
from fairlead.config.suggest import nearest
from fairlead.errors import ControlError

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from fairlead.cli.ask import Running

__all__ = ["NAME", "complete", "split"]

NAME = (
    "POOL/BACKEND",
    (
        "The pool's name and the backend's address as configured: app/app1:8000. The pool may be left "
        "out where the address is in one pool only."
    ),
)


def split(running: Running, text: str) -> tuple[str, str]:
    """Pool and backend of the one that is meant.

    Raises:
        ControlError: There is no such pool or backend; the nearest name is in the hint.
    """
    pools = _pools(running)
    pool, slash, backend = text.partition("/")
    if pool in pools and slash:
        if backend in pools[pool]:
            return pool, backend
        raise _unknown("backend", backend, pools[pool], f" in pool `{pool}`")
    having = [name for name, backends in pools.items() if text in backends]
    if len(having) == 1:
        return having[0], text
    if having:
        names = ", ".join(f"`{name}/{text}`" for name in having)
        raise ControlError(f"`{text}` is in several pools", f"say which: {names}")
    if not slash or text.startswith("unix:"):
        full = [f"{name}/{backend}" for name, backends in pools.items() for backend in backends]
        raise _unknown("backend", text, full, "")
    raise _unknown("pool", pool, list(pools), "")


def _pools(running: Running) -> dict[str, list[str]]:
    pools: list[dict[str, Any]] = running.ask("GET", "/v1/pools").json["pools"]
    return {pool["name"]: [each["address"] for each in pool["backends"]] for pool in pools}


def _unknown(kind: str, name: str, known: list[str], where: str) -> ControlError:
    addresses = {each.rpartition("/")[2]: each for each in known}
    meant = nearest(name, known) or addresses.get(nearest(name, addresses) or "")
    shown = ", ".join(f"`{each}`" for each in known[:8]) + (", …" if len(known) > 8 else "")
    hint = f"did you mean `{meant}`?" if meant else f"there are {shown or 'none'}"
    return ControlError(f"there is no {kind} `{name}`{where}", hint)


def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names for the shell's completion; none when nothing runs."""
    del param
    from click.shell_completion import CompletionItem

    try:
        pools = _pools(find(ctx.params.get("instance")))
    except (ControlError, ValueError, KeyError):
        return []
    names = [f"{pool}/{backend}" for pool, backends in pools.items() for backend in backends]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
