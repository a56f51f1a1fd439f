"""`fairlead reload`: make a running fairlead read its configuration again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fairlead.cli import output
from fairlead.cli.command import Command, instance_option, json_option

if TYPE_CHECKING:
    from fairlead.errors import ControlError

__all__ = ["reload"]

# Refusals that are about the configuration: it is wrong, or an address in it can't be had.
_WRONG = ("config", "bind")


@click.command(
    cls=Command,
    examples=[
        ("fairlead reload", "Use the file as it is now."),
        ("fairlead check && fairlead reload", "Look first."),
    ],
)
@instance_option
@json_option
def reload(instance: str | None, *, as_json: bool) -> int:
    """Make a running fairlead read its configuration again and tell what changed. Connections under
    way finish under the old one. If the new one is wrong, the old one stays in force.
    """  # noqa: D205  # a help page, not a docstring
    from fairlead.cli.ask import find
    from fairlead.errors import ControlError

    try:
        answer = find(instance).ask("POST", "/v1/reload").json
    except ControlError as error:
        if error.code not in _WRONG:
            raise
        _tell_wrong(error, as_json=as_json)
        return 2
    if as_json:
        output.json_data(answer)
        return 0
    for step in answer["steps"]:
        output.say(f"  {step}")
    output.say("reloaded" if answer["changed"] else "nothing has changed")
    return 0


def _tell_wrong(error: ControlError, *, as_json: bool) -> None:
    """Say what is wrong with the configuration; of a file, every mistake with its place."""
    if as_json:
        told = {"code": error.code, "message": str(error), "hint": error.hint}
        output.json_data({"changed": False, "error": told})
    elif error.code == "config":
        output.config_errors(str(error), error.hint)
    else:
        output.error(str(error), hint=error.hint)
