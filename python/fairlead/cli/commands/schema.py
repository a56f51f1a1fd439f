"""`fairlead schema`: what a configuration may say, for editors."""

from __future__ import annotations

import click

from fairlead.cli import output
from fairlead.cli.command import Command, json_option

__all__ = ["schema"]


@click.command(
    cls=Command,
    examples=[
        (
            "fairlead schema > fairlead.schema.json",
            "Then put `#:schema ./fairlead.schema.json` into the first line of fairlead.toml.",
        ),
    ],
)
@json_option
def schema(*, as_json: bool) -> None:  # noqa: ARG001  # it is JSON anyway
    """Print the JSON Schema of the configuration. Editors complete and explain keys by it."""
    from fairlead.config.schema_json import json_schema

    output.json_data(json_schema())
