"""BalancerThread: a `Balancer` in a thread of its own, for tests without an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

from fairlead.balancer import Balancer
from fairlead.testing.loop import PATIENCE_SECONDS, LoopThread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Any

    from fairlead.model import Status

Result = TypeVar("Result")


class BalancerThread:
    """A balancer that runs beside the test.

    Example:
        ::

            text = f'''
            [listeners.web]
            bind = "127.0.0.1:0"
            pool = "app"
            [pools.app]
            backends = ["{one.address}", "{two.address}"]
            '''
            with BalancerThread(text) as balancer:
                urllib.request.urlopen(f"http://{balancer.address}/")
                assert balancer.status().pool("app").backends[0].requests == 1
    """

    def __init__(self, text: str) -> None:
        """Nothing runs before `start` or ``with``.

        Args:
            text: A configuration in TOML.
        """
        self._text = text
        self._thread = LoopThread("balancer")
        self._balancer: Balancer | None = None

    @property
    def balancer(self) -> Balancer:
        """The balancer; use it in its own thread only, by `run`."""
        if self._balancer is None:
            raise RuntimeError("the balancer is not running")
        return self._balancer

    @property
    def address(self) -> str:
        """The address of the first listener."""
        return self.balancer.addresses[0][1]

    def start(self) -> Self:
        """Start it."""
        self._thread.start()
        self._balancer = Balancer.from_text(self._text)
        self.run(self._balancer.start)
        return self

    def stop(self) -> None:
        """Stop it. Stopping twice is fine."""
        if self._balancer is not None:
            self.run(self._balancer.stop)
            self._balancer = None
        self._thread.stop()

    def status(self) -> Status:
        """Everything, at this moment."""

        async def status() -> Status:
            return self.balancer.status()

        return self.run(status)

    def run(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine function in the balancer's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(call(), self._thread.loop).result(PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()
