"""`fairlead weight`: a backend's share of the traffic."""

from __future__ import annotations

import click

from fairlead.cli import output
from fairlead.cli.backend import NAME, complete, split
from fairlead.cli.command import Command, Whole, instance_option, json_option

__all__ = ["weight"]


@click.command(
    cls=Command,
    examples=[
        ("fairlead weight app/app1:8000 3", "Three times the traffic of a backend of weight 1."),
        ("fairlead weight app/app1:8000 0", "No new traffic."),
    ],
    arguments=[NAME, ("N", "A whole number from 0 to 256.")],
)
@click.argument("backend", metavar="POOL/BACKEND", shell_complete=complete)
@click.argument("number", metavar="N", type=Whole(0, 256))
@instance_option
@json_option
def weight(backend: str, number: int, instance: str | None, *, as_json: bool) -> None:
    """Change a backend's share of the traffic against the others' of its group."""
    from fairlead.cli.ask import find

    running = find(instance)
    pool, address = split(running, backend)
    row = running.change(pool, address, {"weight": number})
    if as_json:
        output.json_data(row)
    else:
        output.say(f"{pool}/{address} has weight {row['weight']}")
