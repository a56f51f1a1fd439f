"""Start to balance: what `http`, `tcp` and `run` share.

The configuration is loaded before anything of the engine starts, so a wrong one changes nothing.
What serving means is decided in ``control``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead.config.loaded import LoadedConfig

__all__ = ["launch"]


def launch(load: Callable[[LoadedConfig | None], LoadedConfig]) -> int:
    """Load and serve; returns the exit code.

    Args:
        load: Reads the configuration, given what ran until now.
    """
    latest = load(None)

    def reload() -> LoadedConfig:
        nonlocal latest
        latest = load(latest)
        return latest

    from fairlead.control.run import serve

    return serve(latest, reload, tell=output.tell)
