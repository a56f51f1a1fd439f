"""BlockingBalancer: a load balancer inside a program that has no event loop.

The same as `fairlead.Balancer`, with plain calls: its event loop runs in a thread of its own, and
each call waits until it is done. All methods may be called from any thread. Traffic runs in other
threads still, and never waits for Python.

A class of its own rather than a second half of `Balancer`: a method that must be awaited in one
place and must not be in another has no honest type.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self, TypeVar

from fairlead.balancer import Balancer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Any

    from fairlead.config.schema import Backend, Config
    from fairlead.event import Event
    from fairlead.model import Status

Result = TypeVar("Result")


class BlockingBalancer:
    """A load balancer in this process, for programs without an event loop.

    Example:
        ::

            with BlockingBalancer.from_file("fairlead.toml") as balancer:
                print(balancer.address)
                balancer.set_backend("app", "app1:8000", state="draining")
    """

    def __init__(self, config: Config, *, control_socket: bool = False) -> None:
        """Check the configuration; nothing runs before `start` or ``with``.

        Args:
            config: What to do.
            control_socket: Whether ``fairlead status`` and the like shall find this process.

        Raises:
            ConfigErrors: The configuration can't work.
        """
        self._wire(lambda: Balancer(config, control_socket=control_socket))

    @classmethod
    def from_file(cls, path: str | Path, *, control_socket: bool = False) -> Self:
        """Read a configuration file. `reload` reads it again.

        Args:
            path: A TOML or YAML file.
            control_socket: Whether ``fairlead status`` and the like shall find this process.

        Raises:
            ConfigErrors: The file can't be read, or is wrong.
        """
        self = cls.__new__(cls)
        self._wire(lambda: Balancer.from_file(path, control_socket=control_socket))
        return self

    @classmethod
    def from_text(cls, text: str, *, control_socket: bool = False) -> Self:
        """Read a configuration from TOML text.

        Args:
            text: What would stand in the file.
            control_socket: Whether ``fairlead status`` and the like shall find this process.

        Raises:
            ConfigErrors: It is wrong.
        """
        self = cls.__new__(cls)
        self._wire(lambda: Balancer.from_text(text, control_socket=control_socket))
        return self

    def _wire(self, make: Callable[[], Balancer]) -> None:
        self._make = make
        self._balancer = make()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._was_started = False

    # -- life ------------------------------------------------------------------------------

    def start(self) -> Self:
        """Bind, probe the backends once (bounded), let clients in.

        One that was stopped may be started again: with its configuration as it was read first, on
        fresh counters.

        Raises:
            EngineError: An address can't be bound; nothing runs then.
            OSError: The control socket can't be opened; nothing runs then.
            RuntimeError: It runs already.
        """
        if self._thread is not None:
            raise RuntimeError("the balancer is running")
        if self._was_started:
            self._balancer = self._make()
        self._was_started = True
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(started)), name="fairlead", daemon=True
        )
        self._thread.start()
        started.wait()
        try:
            self._run(self._balancer.start())
        except BaseException:
            self._end()
            raise
        return self

    def stop(self) -> bool:
        """Take nothing new, finish what is under way within ``shutdown_timeout``, end.

        Returns:
            Whether all connections ended by themselves. Stopping twice, or before a start, does
            nothing.
        """
        if self._thread is None:
            return True
        try:
            return self._run(self._balancer.stop())
        finally:
            self._end()

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

    # -- what it does ----------------------------------------------------------------------

    def reload(self) -> list[str]:
        """Read the configuration again and use it, all of it or nothing.

        Returns:
            What changed, one line for each step.

        Raises:
            ReloadError: Nothing has changed.
        """
        return self._run(self._balancer.reload())

    def set_backend(
        self, pool: str, backend: str, *, state: str | None = None, weight: int | None = None
    ) -> None:
        """Change what is wanted of a backend; it holds over reloads.

        Args:
            pool: The pool's name.
            backend: The backend's address as configured.
            state: ``enabled``, ``draining`` or ``disabled``.
            weight: 0 to 256.

        Raises:
            KeyError: There is no such backend.
        """
        self._call(lambda: self._balancer.set_backend(pool, backend, state=state, weight=weight))

    def add_backend(self, pool: str, backend: str | Backend) -> None:
        """Add a backend to a pool; it holds over reloads, until the configuration has it too.

        Args:
            pool: The pool's name.
            backend: As in a configuration: ``"app3:8000"``, ``"app3:8000*2"``, or a `Backend`.

        Raises:
            KeyError: There is no such pool.
            ValueError: The pool has it already.
            ConfigErrors: It is no address.
            ReloadError: Its name doesn't resolve.
        """
        self._run(self._balancer.add_backend(pool, backend))

    def remove_backend(self, pool: str, backend: str) -> None:
        """Remove a backend from its pool; what it has under way is finished.

        Args:
            pool: The pool's name.
            backend: The backend's address as configured.

        Raises:
            KeyError: There is no such backend.
            ValueError: It is the only one of its pool.
        """
        self._run(self._balancer.remove_backend(pool, backend))

    # -- what it says ----------------------------------------------------------------------

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """Listener name and real address, for everything that listens."""
        return self._balancer.addresses

    @property
    def address(self) -> str:
        """The real address of the first listener: ``127.0.0.1:41234``.

        Raises:
            RuntimeError: It isn't running.
        """
        self._running()
        return self._balancer.address

    def status(self) -> Status:
        """Everything, at this moment."""
        return self._call(self._balancer.status)

    def metrics(self) -> str:
        """Everything that is counted, as text for Prometheus."""
        return self._call(self._balancer.metrics)

    def events(
        self, *, after: int | None = None, timeout_seconds: float | None = None
    ) -> Iterator[Event]:
        """What happens from now on.

        Args:
            after: Begin after the event of this id; 0 begins with the oldest that is kept.
            timeout_seconds: End when nothing happened for so long; ``None`` waits for ever.
        """
        coming = self._balancer.events(after=after)
        try:
            while True:
                yield self._run(asyncio.wait_for(anext(coming), timeout_seconds))
        except TimeoutError:
            return
        finally:
            if self._loop is not None:
                self._run(coming.aclose())

    # -- the thread ------------------------------------------------------------------------

    async def _live(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        started.set()
        await self._over.wait()

    def _end(self) -> None:
        if self._thread is None:
            return
        self._running().call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._thread = self._loop = None

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the balancer is not running")
        return self._loop

    def _call(self, call: Callable[[], Result]) -> Result:
        async def run() -> Result:
            return call()

        return self._run(run())

    def _run(self, doing: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the loop's thread and wait for it."""
        if self._loop is None:
            doing.close()
        return asyncio.run_coroutine_threadsafe(doing, self._running()).result()
