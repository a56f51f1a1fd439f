"""`fairlead reload`: make a running fairlead read its configuration again."""

from __future__ import annotations

import click

from fairlead.cli import output
from fairlead.cli.command import Command, instance_option, json_option

__all__ = ["reload"]


@click.command(
    cls=Command,
    examples=[
        ("fairlead reload", "Use the file as it is now."),
        ("fairlead check && fairlead reload", "Look first."),
    ],
)
@instance_option
@json_option
def reload(instance: str | None, *, as_json: bool) -> None:
    """Make a running fairlead read its configuration again and tell what changed. Connections under
    way finish under the old one. If the new one is wrong, the old one stays in force.
    """  # noqa: D205  # a help page, not a docstring
    from fairlead.cli.ask import find

    answer = find(instance).ask("POST", "/v1/reload").json
    if as_json:
        output.json_data(answer)
        return
    for step in answer["steps"]:
        output.say(f"  {step}")
    output.say("reloaded" if answer["changed"] else "nothing has changed")
