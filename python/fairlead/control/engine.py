"""What control asks of the native engine, and the one place that starts it.

`Engine` describes `fairlead._engine.Engine` as far as control uses it, so that everything above
can be tested with an engine that only remembers what it was told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fairlead.policy.runner import Seat


class Engine(Protocol):
    """The data plane, seen from Python. `fairlead._engine` documents each call."""

    def apply(self, plan: bytes) -> None:
        """Take a plan, all of it or nothing."""

    def inherit(self, name: str, number: int) -> str:
        """Take a listening socket that this process was started with; where it listens."""

    def watch(self, to: str, every: float) -> None:
        """Tell a service manager again and again that all workers are alive."""

    def heed_signals(self, timeout: float, manager: str) -> int:
        """Have signals heeded while Python doesn't; where their numbers are to be written."""

    def pass_signals_on(self, number: int) -> None:
        """Have them passed on to where Python hears of them."""

    def heard(self) -> None:
        """Say that Python handles a signal."""

    def prepare_end(self, timeout: float, files: list[str]) -> None:
        """Say how long a stop without Python may take, and which files it removes."""

    def stand_in(self, number: int, about: bytes) -> int:
        """Have operators answered while Python doesn't; what is readable when it is asked."""

    def stand_at(self, number: int | None, hosts: list[str]) -> None:
        """Have health told at this admin address, too, while Python doesn't."""

    def present(self, about: bytes) -> list[tuple[str, str, str | None, int | None]]:
        """Give a sign of life; what was wished while there was none."""

    def addresses(self) -> list[tuple[str, str]]:
        """Listener name and address, for everything that listens."""

    def wait_first_checks(self, timeout: float) -> bool:
        """Wait until each backend was probed once."""

    def start_accepting(self) -> None:
        """Let clients in."""

    def status(self) -> bytes:
        """Everything, as JSON."""

    def pool_status(self, name: str) -> bytes | None:
        """One pool, as JSON; ``None`` if there is none."""

    def metrics(self, openmetrics: bool) -> bytes:  # noqa: FBT001  # as the native module has it
        """The numbers as text for Prometheus."""

    def set_state(self, pool: str, backend: str, state: str) -> bool:
        """Change what the operator wants; true if it did change."""

    def set_weight(self, pool: str, backend: str, weight: int) -> bool:
        """Change a weight; true if it did change."""

    def forget_health(self, pool: str, backend: str) -> bool:
        """Forget what was seen of a backend; true if there was anything."""

    def report_check(self, pool: str, backend: str, passed: bool, what: str) -> None:  # noqa: FBT001  # as the native module has it
        """Hand over the result of a check that Python made."""

    def sit_down(self, pool: str, picks: bool) -> Seat:  # noqa: FBT001  # as the native module has it
        """Take the place at the desk of a pool's policy in Python."""

    def play_chaos(  # noqa: PLR0913  # as the native module has it
        self,
        pool: str,
        backend: str,
        *,
        fault: str,
        share: float,
        seconds: float,
        delay: float,
        checks: bool,
    ) -> None:
        """Play faults at a backend for a while."""

    def end_chaos(self) -> bool:
        """End what is played; false if nothing is."""

    def chaos(self) -> bytes | None:
        """The last run of faults and what came of it, as JSON."""

    def reopen_log(self) -> None:
        """Open the access log's file anew; never blocks."""

    def event_fd(self) -> int:
        """A descriptor that is readable while events wait."""

    def take_events(self) -> list[bytes]:
        """The events that wait, as JSON objects."""

    def stop(self, timeout: float) -> bool:
        """Stop gracefully."""


def start_engine(workers: int, io: str = "auto") -> Engine:
    """Make the native engine; its threads start with the first plan.

    Args:
        workers: How many; 0 is one per CPU.
        io: How they call the kernel: ``epoll``, ``uring`` or ``auto``.
    """
    from fairlead import _engine

    return _engine.Engine(workers, io)
