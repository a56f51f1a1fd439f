"""The JSON Schema of the configuration, for editors; made from `schema`, so it can't lag behind.

Decides nothing about the configuration. A schema can't say everything that `rules` holds: a file
that fits it may still be refused, never the other way round.
"""

from __future__ import annotations

from typing import Any

from fairlead.config.schema import CONFIG

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """The schema, as a JSON object of the 2020-12 dialect.

    >>> json_schema()["properties"]["pools"]["description"]
    'Sets of interchangeable backends, by name.'
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fairlead configuration",
        "description": "All that fairlead is to do. TOML, or YAML in a file that ends in .yaml.",
        **CONFIG.schema(),
    }
