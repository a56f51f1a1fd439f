"""`fairlead check`: everything that is wrong with a configuration, before it matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fairlead.cli import output
from fairlead.cli.command import Command, json_option

if TYPE_CHECKING:
    from fairlead.config.schema import Config
    from fairlead.errors import ConfigError

__all__ = ["check"]


@click.command(
    cls=Command,
    examples=[
        ("fairlead check", "Check the file that `fairlead run` would use."),
        ("fairlead check shop.toml && fairlead reload", "Reload only what is right."),
        ("fairlead check shop.toml --no-resolve", "Where the backends' names aren't known."),
    ],
    arguments=[("CONFIG", "The file. Left out: the one that `fairlead run` would use.")],
)
@click.argument("config", metavar="[CONFIG]", required=False)
@click.option("--no-resolve", is_flag=True, help="Don't look whether the names have addresses.")
@json_option
def check(config: str | None, *, no_resolve: bool, as_json: bool) -> int:
    """Check a configuration. Nothing is started and nothing is changed.

    Policies and checks in Python are imported, unless with --no-resolve.

    Exit code 0 if it is right; 2 if not, and then all mistakes are told at once.
    """
    from fairlead.errors import ConfigErrors

    try:
        path, checked = _check(config, resolve=not no_resolve)
    except ConfigErrors as errors:
        if not as_json:
            raise
        output.json_data({"ok": False, "errors": [_as_json(error) for error in errors.errors]})
        return 2
    counts = _counts(checked)
    if as_json:
        output.json_data({"ok": True, "config": path, **counts, "errors": []})
    else:
        output.say(f"{path} is right: {', '.join(map(_counted, counts.items()))}")
    return 0


def _check(config: str | None, *, resolve: bool) -> tuple[str, Config]:
    import os

    from fairlead import _engine
    from fairlead.config.loaded import load_parsed, parse_source
    from fairlead.config.read import find, read

    path = config or str(find(os.environ))
    parsed = parse_source(read(path), _engine)
    if resolve:
        loaded = load_parsed(parsed, path)
        if loaded.has_python:
            # Nobody else waits for the imports of what only a running instance needs.
            from fairlead.control.code import prepare_once

            prepare_once(loaded)
    return path, parsed.config


def _counts(config: Config) -> dict[str, int]:
    return {
        "listeners": len(config.listeners),
        "pools": len(config.pools),
        "backends": sum(len(pool.backends) for pool in config.pools.values()),
    }


def _counted(item: tuple[str, int]) -> str:
    """A count in words: ``1 listener``, ``2 pools``."""
    name, count = item
    return f"{count} {name.removesuffix('s') if count == 1 else name}"


def _as_json(error: ConfigError) -> dict[str, Any]:
    place = error.place
    return {
        "code": error.code,
        "file": place.source.name if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "end_column": place.end_column if place else None,
        "text": place.line_text if place else None,
        "found": error.found,
        "expected": error.expected,
        "hint": error.hint,
    }
