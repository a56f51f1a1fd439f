"""The public test kit: backends that misbehave on demand, and a fairlead to put before them.

- `FakeBackend`: a real backend on a real socket, in a thread of its own.
- `BackendProcess`: the same in a process of its own, to be frozen and killed for real.
- `Program`: a fairlead process.
- `BalancerThread`: a balancer in this process, for tests without an event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.testing.backend import FakeBackend
from fairlead.testing.process import BackendProcess
from fairlead.testing.program import Program
from fairlead.testing.seen import SeenRequest

if TYPE_CHECKING:
    from fairlead.testing.inside import BalancerThread

__all__ = ["BackendProcess", "BalancerThread", "FakeBackend", "Program", "SeenRequest"]


def __getattr__(name: str) -> object:
    """Import what needs the engine only when it is asked for."""
    if name == "BalancerThread":
        from fairlead.testing.inside import BalancerThread  # noqa: PLC0415

        return BalancerThread
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
