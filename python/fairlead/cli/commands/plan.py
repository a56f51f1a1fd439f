"""`fairlead plan`: what a configuration would change in a running fairlead, before it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fairlead.cli import output
from fairlead.cli.command import Command, instance_option, json_option

if TYPE_CHECKING:
    from fairlead.config.schema import Config

__all__ = ["plan"]


@click.command(
    cls=Command,
    examples=[
        ("fairlead plan fairlead.toml", "What `fairlead reload` would do now."),
        ("fairlead plan new.toml --json | jq .changed", "For programs."),
    ],
    arguments=[("CONFIG", "A file in TOML or YAML.")],
)
@click.argument("config", metavar="CONFIG", type=click.Path())
@instance_option
@json_option
def plan(config: str, instance: str | None, *, as_json: bool) -> None:
    """Tell what a configuration would change in a running fairlead. Nothing is changed. What it says
    of `[admin]` is left out: only a reload changes that.
    """  # noqa: D205  # a help page, not a docstring
    from fairlead.cli.ask import find
    from fairlead.config.schema import Config

    wanted = _plain(Config.from_file(config))
    answer = find(instance).ask("POST", "/v1/config/plan", wanted).json
    if as_json:
        output.json_data(answer)
        return
    for step in answer["steps"]:
        output.data(step)
    if not answer["changed"]:
        output.say("nothing would change")


def _plain(config: Config) -> dict[str, Any]:
    """The configuration as it is sent: without what can't be changed from within."""
    import msgspec

    from fairlead.config.schema import CONFIG

    plain: dict[str, Any] = CONFIG.write(msgspec.structs.replace(config, admin=None))
    return plain
