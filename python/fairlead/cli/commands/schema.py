"""`fairlead schema`: what a configuration may say, for editors."""

from __future__ import annotations

import click

from fairlead.cli import output
from fairlead.cli.command import Command

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
def schema() -> None:
    """Print the JSON Schema of the configuration. Editors complete and explain keys by it."""
    from fairlead.config.schema_json import json_schema

    output.json_data(json_schema())
