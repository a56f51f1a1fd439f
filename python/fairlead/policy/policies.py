"""All policies at work: which pool has which, and the change from one set to another.

Not here: loading modules (`loader`), running a policy (`runner`).
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from fairlead.loader import LoadError, describe
from fairlead.policy.policy import Policy
from fairlead.policy.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fairlead.policy.runner import Seat

_END_SECONDS = 0.2
_EXPECTED = "a class derived from `fairlead.Policy`"


class Made(NamedTuple):
    """A policy that was made for a pool; ``of`` is what it was made from."""

    name: str
    of: Any
    policy: Policy


def make(name: str, of: Any) -> Made:
    """Make a pool's policy.

    Args:
        name: What the configuration calls it.
        of: The class that stands there, or an instance of it.

    Raises:
        LoadError: It is no policy, or can't be made.
    """
    if isinstance(of, Policy):
        policy = of
    elif isinstance(of, type) and issubclass(of, Policy):
        try:
            policy = of()
        except Exception as error:  # noqa: BLE001  # whatever a policy raises
            found = f"`{name}` can't be made: {describe(error)}"
            raise LoadError(found, "a policy that is made without arguments") from None
    else:
        hint = "write `class Name(fairlead.Policy):`" if isinstance(of, type) else None
        raise LoadError(f"`{name}` is {_kind(of)}, not a policy", _EXPECTED, hint)
    if not policy.writes("score") and not policy.writes("pick"):
        expected = "a policy with a method `score` or `pick`"
        raise LoadError(f"`{name}` has neither `score` nor `pick`", expected)
    return Made(name, of, policy)


def _kind(of: Any) -> str:
    return f"the class `{of.__name__}`" if isinstance(of, type) else f"a `{type(of).__name__}`"


class Policies:
    """The policies at work. Its methods are called from one thread at a time."""

    def __init__(self, sit_down: Callable[[str, bool], Seat]) -> None:
        """Nothing runs before `use`.

        Args:
            sit_down: Gives the place at a pool's desk, for one who picks or only scores;
                `KeyError` if there is no such pool.
        """
        self._sit_down = sit_down
        self._running: dict[str, tuple[Made, Runner]] = {}
        # A thread that waits in the engine must not come back to an interpreter that is ending.
        weakref.finalize(self, _end, self._running)

    def made(self, pool: str) -> Made | None:
        """What is at work for a pool."""
        running = self._running.get(pool)
        return running[0] if running else None

    def use(self, wanted: Mapping[str, Made]) -> None:
        """Let these policies work, by pool, and no others. One that stays goes on undisturbed."""
        for pool in self._running.keys() - wanted.keys():
            self._running.pop(pool)[1].stop()
        for pool, made in wanted.items():
            if self.made(pool) is made:
                continue
            # Whoever sat there before loses the seat to this one.
            seat = self._sit_down(pool, made.policy.writes("pick"))
            runner = Runner(pool, made.policy, seat)
            self._running[pool] = made, runner
            runner.start()

    def keep_at_work(self) -> None:
        """See that each has a thread; see `Runner.start`."""
        for _, runner in self._running.values():
            runner.start()

    def stop(self) -> None:
        """Let none work any more."""
        self.use({})


def _end(running: dict[str, tuple[Made, Runner]]) -> None:
    """Let the threads end that are left; one that hangs in a policy isn't waited for."""
    for _, runner in running.values():
        runner.stop()
    for _, runner in running.values():
        runner.join(_END_SECONDS)
