"""`fairlead version`: which fairlead this is."""

from __future__ import annotations

import click

from fairlead.cli import output
from fairlead.cli.command import Command, json_option

__all__ = ["version"]


@click.command(
    cls=Command,
    examples=[("fairlead version", "Print the version."), ("fairlead version --json", "As JSON.")],
)
@json_option
def version(*, as_json: bool) -> None:
    """Print the version."""
    from fairlead import _engine

    if as_json:
        output.json_data({"version": _engine.VERSION})
    else:
        output.data(f"fairlead {_engine.VERSION}")
