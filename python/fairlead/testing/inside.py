"""BalancerThread: a balancer from a text, and its own thread to run things in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.balancer import Balancer
from fairlead.blocking import BlockingBalancer, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any


class BalancerThread(BlockingBalancer):
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

        Raises:
            ConfigErrors: It is wrong.
        """
        self._wire(lambda: Balancer.from_text(text))

    @property
    def balancer(self) -> Balancer:
        """The balancer; use it in its own thread only, by `run`."""
        self._running()
        return self._balancer

    def run(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine function in the balancer's thread and wait for it."""
        return self._run(call())
