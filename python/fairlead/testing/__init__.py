"""The public test kit: backends that misbehave on demand, and a fairlead to put before them.

- `FakeBackend`: a real backend on a real socket, in a thread of its own.
- `BackendProcess`: the same in a process of its own, to be frozen and killed for real.
- `Program`: a fairlead process.
- `BalancerThread`: a balancer in this process, for tests without an event loop.
- `balancer_before`: one before these backends, ready to be started.

With pytest there are the fixtures `fairlead_backend` and `fairlead_balancer` (see `plugin`).
Each name is imported when it is first used: pytest imports this package in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.testing.backend import FakeBackend
    from fairlead.testing.before import balancer_before
    from fairlead.testing.inside import BalancerThread
    from fairlead.testing.process import BackendProcess
    from fairlead.testing.program import Program
    from fairlead.testing.seen import SeenRequest

__all__ = [
    "BackendProcess",
    "BalancerThread",
    "FakeBackend",
    "Program",
    "SeenRequest",
    "balancer_before",
]

_HOMES = {
    "BackendProcess": "process",
    "BalancerThread": "inside",
    "FakeBackend": "backend",
    "Program": "program",
    "SeenRequest": "seen",
    "balancer_before": "before",
}


# Hidden from type checkers, which would take every name for granted otherwise.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a public name when somebody asks for it."""
        from importlib import import_module  # noqa: PLC0415  # not even this before it is needed

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"fairlead.testing.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
