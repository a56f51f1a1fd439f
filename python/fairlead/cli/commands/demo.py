"""`fairlead demo`: see it work, without anything to configure."""

from __future__ import annotations

import click

from fairlead.cli.command import Command, json_option

__all__ = ["demo"]


@click.command(
    cls=Command,
    examples=[
        ("fairlead demo", "Watch until Ctrl-C, then read the report."),
        ("fairlead demo --seconds 15", "End by itself; exit code 0 if no client saw an error."),
    ],
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    metavar="N",
    help="End after so many seconds.  [default: until Ctrl-C]",
)
@json_option
def demo(seconds: float | None, *, as_json: bool) -> int:
    """Run a balancer over backends that slow down, freeze, refuse and come back, with steady
    clients and a live view of who gets what, who is out and why.
    """  # noqa: D205  # a help page, not a docstring
    from fairlead.demo import run

    return run(seconds, json=as_json)
