"""Text to configuration to plan: everything that fairlead can be told to do.

The types of `schema` are this package's public names; each is imported when it is first used, as
``import fairlead`` must stay cheap. ``loaded`` joins the steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.config.loaded import LoadedConfig, load_config, load_file, load_text
    from fairlead.config.schema import (
        AccessLog,
        Admin,
        Backend,
        Check,
        Config,
        Limits,
        Listener,
        ListenerTimeouts,
        Outlier,
        Pool,
        PoolTimeouts,
        Retry,
        Route,
    )

__all__ = [
    "AccessLog",
    "Admin",
    "Backend",
    "Check",
    "Config",
    "Limits",
    "Listener",
    "ListenerTimeouts",
    "LoadedConfig",
    "Outlier",
    "Pool",
    "PoolTimeouts",
    "Retry",
    "Route",
    "load_config",
    "load_file",
    "load_text",
]

_LOADED = ("LoadedConfig", "load_config", "load_file", "load_text")


def __getattr__(name: str) -> Any:
    """Import a public name when somebody asks for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # for the first name only

    module = import_module(f"{__name__}.{'loaded' if name in _LOADED else 'schema'}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
