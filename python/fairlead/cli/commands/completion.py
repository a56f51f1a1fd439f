"""`fairlead completion`: the set-up that makes a shell complete fairlead's commands."""

from __future__ import annotations

import click

from fairlead.cli import output
from fairlead.cli.command import Command

__all__ = ["completion"]


@click.command(
    cls=Command,
    examples=[
        (
            "fairlead completion bash > ~/.local/share/bash-completion/completions/fairlead",
            "For bash, from the next shell on.",
        ),
        (
            'fairlead completion zsh > "${fpath[1]}/_fairlead"',
            "For zsh.",
        ),
        (
            "fairlead completion fish > ~/.config/fish/completions/fairlead.fish",
            "For fish.",
        ),
    ],
    arguments=[("SHELL", "bash, zsh or fish.")],
)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the set-up of a shell's completion: commands, options, and the names of backends of a
    running fairlead.
    """  # noqa: D205  # a help page, not a docstring
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    made = found(click.Command("fairlead"), {}, "fairlead", "_FAIRLEAD_COMPLETE")
    # Not `source()`: it starts a bash to see whether that is old, which most scripts can't fix.
    output.data(made.source_template % made.source_vars())
