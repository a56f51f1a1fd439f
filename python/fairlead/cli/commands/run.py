"""`fairlead run`: balance as a configuration file says."""

from __future__ import annotations

import click

from fairlead.cli.command import Command

__all__ = ["run"]


def _run(config: str | None) -> int:
    import os

    from fairlead import _engine
    from fairlead.cli.launch import launch
    from fairlead.config.loaded import load_file
    from fairlead.config.read import find

    path = config or str(find(os.environ))
    return launch(lambda previous: load_file(path, _engine, previous=previous))


run = Command(
    name="run",
    help="Balance as a configuration file says, until SIGTERM or SIGINT. SIGHUP reads the file "
    "again; if it is wrong then, the old configuration stays in force.",
    callback=_run,
    params=[click.Argument(["config"], metavar="[CONFIG]", required=False)],
    examples=[
        ("fairlead run", "From ./fairlead.toml or one of the other places below."),
        ("fairlead run /etc/shop/fairlead.yaml", "From this file; YAML by its ending."),
    ],
    arguments=[
        (
            "CONFIG",
            (
                "TOML, or YAML if it ends in .yaml or .yml. Left out: $FAIRLEAD_CONFIG, else the first "
                "of ./fairlead.toml, $XDG_CONFIG_HOME/fairlead/fairlead.toml and "
                "/etc/fairlead/fairlead.toml."
            ),
        )
    ],
)
