"""`fairlead drain`, `disable`, `enable`: what an operator wants of a backend."""

from __future__ import annotations

import click

from fairlead.cli import output
from fairlead.cli.backend import NAME, complete, split
from fairlead.cli.command import Command, instance_option, json_option

__all__ = ["disable", "drain", "enable"]


def _command(name: str, state: str, text: str, example: tuple[str, str]) -> Command:
    @click.command(
        cls=Command,
        name=name,
        help=text,
        examples=[example],
        arguments=[NAME],
    )
    @click.argument("backend", metavar="POOL/BACKEND", shell_complete=complete)
    @instance_option
    @json_option
    def command(backend: str, instance: str | None, *, as_json: bool) -> None:
        from fairlead.cli.ask import find

        running = find(instance)
        pool, address = split(running, backend)
        row = running.change(pool, address, {"state": state})
        if as_json:
            output.json_data(row)
        else:
            busy = f", {row['active']} still in flight" if state == "draining" else ""
            output.say(f"{pool}/{address} is {row['state']}, {row['health']}{busy}")

    assert isinstance(command, Command)
    return command


drain = _command(
    "drain",
    "draining",
    "Give a backend no new traffic and let it finish what it has. Reloads keep it so.",
    ("fairlead drain app/app1:8000", "Before a deployment on app1."),
)
disable = _command(
    "disable",
    "disabled",
    "Take a backend out of use. Connections under way are not cut.",
    ("fairlead disable app/app1:8000", "Until `fairlead enable app/app1:8000`."),
)
enable = _command(
    "enable",
    "enabled",
    "Let a backend take traffic again. Whether it does depends on its health.",
    ("fairlead enable app/app1:8000", "After the deployment."),
)
