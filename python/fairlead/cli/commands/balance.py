"""`fairlead balance`: declared for the list of commands and the reference page.

It is run without this (`fairlead.cli.main`), as it has a grammar of its own and has to start fast.
"""

from __future__ import annotations

import click

from fairlead.cli.command import Command

__all__ = ["balance"]


def _run(arguments: tuple[str, ...]) -> int:
    from fairlead.cli.drop_in import run

    return run(arguments)


balance = Command(
    name="balance",
    help="Inlab's balance and Last.fm's balance.fm: their command lines unchanged, on fairlead's "
    "engine. Also when started under the name `balance`. `fairlead balance --help` lists the "
    "options, which are balance's own; docs/from/balance.md tells what is better.",
    callback=_run,
    params=[
        click.Argument(["arguments"], metavar="ARGS...", nargs=-1, type=click.UNPROCESSED),
    ],
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    examples=[
        (
            "fairlead balance smtp mailhost1 mailhost2:2525 ! spare",
            "In the background: mail to two hosts in turn, to the spare while both are away.",
        ),
        (
            "fairlead balance -c show smtp",
            "Ask the instance on that port.",
        ),
    ],
)
