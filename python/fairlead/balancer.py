"""Balancer: a load balancer inside your own program.

The same engine and the same control plane as ``fairlead run``, without its process: no signals
are caught, nothing is printed, and there is no control socket unless asked for. What is the
process' own is left alone: ``user`` has no effect, and sockets in ``LISTEN_FDS`` are not taken.
Traffic runs in threads of its own and never waits for Python.

Not here: what a configuration may say (`fairlead.config`), what the control plane does
(`fairlead.control.loop`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Self

from fairlead.control import paths
from fairlead.control.engine import start_engine
from fairlead.control.loop import ControlLoop
from fairlead.control.running import Running
from fairlead.control.thread import in_thread
from fairlead.event import Event
from fairlead.model import Status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path
    from types import TracebackType

    from fairlead.config.loaded import LoadedConfig
    from fairlead.config.schema import Backend, Config


class Balancer:
    """A load balancer in this process, started and stopped inside an event loop.

    Example:
        ::

            async with Balancer.from_file("fairlead.toml") as balancer:
                async for event in balancer.events():
                    print(event.text)

    All methods belong to the event loop's thread.
    """

    def __init__(
        self,
        config: Config,
        *,
        reload: Callable[[], LoadedConfig] | None = None,
        control_socket: bool = False,
    ) -> None:
        """Check the configuration; nothing runs before `start`.

        Args:
            config: What to do.
            reload: Where `reload` gets its configuration; may block, and raise `ConfigErrors`.
                Left out, it resolves the names of `config` again.
            control_socket: Whether ``fairlead status`` and the like shall find this process.

        Raises:
            ConfigErrors: The configuration can't work.
        """
        from fairlead import _engine
        from fairlead.config.loaded import load_config

        def load(previous: LoadedConfig | None) -> LoadedConfig:
            return load_config(config, _engine, previous=previous)

        self._wire(load, reload, control_socket=control_socket)

    @classmethod
    def from_file(cls, path: str | Path, *, control_socket: bool = False) -> Self:
        """Read a configuration file. `reload` reads it again.

        Args:
            path: A TOML or YAML file.
            control_socket: Whether ``fairlead status`` and the like shall find this process.

        Raises:
            ConfigErrors: The file can't be read, or is wrong.
        """
        from fairlead import _engine
        from fairlead.config.loaded import load_file

        def load(previous: LoadedConfig | None) -> LoadedConfig:
            return load_file(path, _engine, previous=previous)

        self = cls.__new__(cls)
        self._wire(load, control_socket=control_socket)
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
        from fairlead import _engine
        from fairlead.config.loaded import load_text

        def load(previous: LoadedConfig | None) -> LoadedConfig:
            return load_text(text, _engine, previous=previous)

        self = cls.__new__(cls)
        self._wire(load, control_socket=control_socket)
        return self

    def _wire(
        self,
        load: Callable[[LoadedConfig | None], LoadedConfig],
        reload: Callable[[], LoadedConfig] | None = None,
        *,
        control_socket: bool,
    ) -> None:
        first = load(None)
        self._running = Running(start_engine(first.config.workers, first.config.io), first)
        # Names that stop resolving keep the addresses that they had.
        self._reload = reload or (lambda: load(self._running.loaded))
        self._control_socket = control_socket
        self._loop: ControlLoop | None = None

    # -- life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind, probe the backends once (bounded), let clients in.

        Raises:
            EngineError: An address can't be bound; nothing runs then.
            OSError: The control socket can't be opened; nothing runs then.
        """
        running = self._running
        await in_thread(running.start)
        try:
            config = running.loaded.config
            admin = paths.listen_admin(config.admin.listen) if config.admin else None
            control = paths.listen() if self._control_socket else None
        except BaseException:
            running.engine.stop(0)
            raise
        self._loop = ControlLoop(running, self._reload)
        await self._loop.start(control, admin)
        await self._loop.first_checks()
        running.engine.start_accepting()

    async def stop(self) -> bool:
        """Take nothing new, finish what is under way within ``shutdown_timeout``, end.

        Returns:
            Whether all connections ended by themselves. Stopping twice, or before a start, does
            nothing.
        """
        if self._loop is None or self._loop.stopping:
            return True
        return await self._loop.stop("asked by the program")

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()

    # -- what it does ----------------------------------------------------------------------

    async def reload(self) -> list[str]:
        """Read the configuration again and use it, all of it or nothing.

        Returns:
            What changed, one line for each step.

        Raises:
            ReloadError: Nothing has changed.
        """
        return await self._started().reload_now()

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
        self._started().set_backend(pool, backend, state, weight)

    async def add_backend(self, pool: str, backend: str | Backend) -> None:
        """Add a backend to a pool; it holds over reloads, until the configuration has it too.

        Args:
            pool: The pool's name.
            backend: As in a configuration: ``"app3:8000"``, ``"app3:8000*2"``, or a
                `fairlead.config.Backend`.

        Raises:
            KeyError: There is no such pool.
            ValueError: The pool has it already.
            ConfigErrors: It is no address.
            ReloadError: Its name doesn't resolve.
        """
        from fairlead import _engine
        from fairlead.config.loaded import check_backend

        loop, known = self._started(), self._addresses_of(pool)
        new = check_backend(backend, _engine)
        if new.address in known:
            raise ValueError(f"pool `{pool}` has `{new.address}` already")
        await loop.add_backend_now(pool, new)

    async def remove_backend(self, pool: str, backend: str) -> None:
        """Remove a backend from its pool; what it has under way is finished.

        Args:
            pool: The pool's name.
            backend: The backend's address as configured.

        Raises:
            KeyError: There is no such backend.
            ValueError: It is the only one of its pool: disable it instead.
        """
        loop, known = self._started(), self._addresses_of(pool)
        if backend not in known:
            raise KeyError(f"no backend `{backend}` in a pool `{pool}`")
        if len(known) == 1:
            raise ValueError(f"`{backend}` is the only backend of pool `{pool}`")
        await loop.remove_backend_now(pool, backend)

    def _addresses_of(self, pool: str) -> list[str]:
        pools = self._running.loaded.config.pools
        if pool not in pools:
            raise KeyError(f"no pool `{pool}`")
        return [backend.address for backend in pools[pool].backends]

    # -- what it says ----------------------------------------------------------------------

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """Listener name and real address, for everything that listens."""
        return self._running.engine.addresses()

    @property
    def address(self) -> str:
        """The real address of the first listener: ``127.0.0.1:41234``."""
        return self.addresses[0][1]

    def status(self) -> Status:
        """Everything, at this moment."""
        return Status.from_json(json.loads(self._running.status()))

    def metrics(self, *, openmetrics: bool = False) -> str:
        """Everything that is counted, as text for Prometheus.

        Args:
            openmetrics: In OpenMetrics 1.0 rather than in the older text format.
        """
        running = self._running
        text = running.metrics(dict(running.events.counts), openmetrics=openmetrics)
        return text.decode()

    async def events(self, *, after: int | None = None) -> AsyncGenerator[Event, None]:
        """What happens from now on, for ever.

        A reader that is too slow misses some, and gets an event of kind ``lost`` that says how
        many; it never slows anything down.

        Args:
            after: Begin after the event of this id; 0 begins with the oldest that is kept.
        """
        news = asyncio.Event()
        subscription = self._running.events.subscribe(news.set, after=after)
        with contextlib.closing(subscription):
            while True:
                news.clear()
                for event in subscription.take():
                    yield Event.from_json(json.loads(event))
                await news.wait()

    def _started(self) -> ControlLoop:
        if self._loop is None:
            raise RuntimeError("the balancer is not started")
        return self._loop
