"""A load balancer for http and tcp that keeps working while its backends don't.

The public names. Each is imported when it is first used: ``import fairlead`` costs next to nothing,
and ``fairlead --version`` doesn't wait for an event loop that it never runs.
"""

from __future__ import annotations

# What `typing` has is for type checkers only, and takes as long to import as Python to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fairlead.balancer import Balancer
    from fairlead.blocking import BlockingBalancer
    from fairlead.config.schema import Config
    from fairlead.errors import (
        ConfigError,
        ConfigErrors,
        ControlError,
        EngineError,
        FairleadError,
        ReloadError,
    )
    from fairlead.event import Event
    from fairlead.health.function import Probe
    from fairlead.model import Backend, Status
    from fairlead.policy.policy import Policy
    from fairlead.policy.request import Request

    __version__: str

__all__ = [
    "Backend",
    "Balancer",
    "BlockingBalancer",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "ControlError",
    "EngineError",
    "Event",
    "FairleadError",
    "Policy",
    "Probe",
    "ReloadError",
    "Request",
    "Status",
    "__version__",
]

_HOMES = {
    "Backend": "model",
    "Balancer": "balancer",
    "BlockingBalancer": "blocking",
    "Config": "config.schema",
    "ConfigError": "errors",
    "ConfigErrors": "errors",
    "ControlError": "errors",
    "EngineError": "errors",
    "Event": "event",
    "FairleadError": "errors",
    "Policy": "policy.policy",
    "Probe": "health.function",
    "ReloadError": "errors",
    "Request": "policy.request",
    "Status": "model",
}


# Hidden from type checkers, which would take every name for granted otherwise.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a public name when somebody asks for it."""
        from importlib import import_module  # noqa: PLC0415  # not even this before it is needed

        if name == "__version__":
            return import_module("fairlead._engine").VERSION
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"fairlead.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
