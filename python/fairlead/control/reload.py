"""A reload: read again, compare, use; or keep what is in force and say why.

One at a time, whoever asks (a signal, the API, a name that resolves differently). A reload never
forks and never closes a listener that stays. Whatever goes wrong, the configuration in force
stays in force.

Not here: reading and comparing (`config`), the engine's part (`apply`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fairlead.control.thread import in_thread
from fairlead.errors import ConfigErrors, EngineError, ReloadError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fairlead.config.loaded import LoadedConfig
    from fairlead.config.schema import Config
    from fairlead.control.code import Prepared
    from fairlead.control.members import Members
    from fairlead.control.running import Running
    from fairlead.discovery.dns import Tell


_IMPORT_SECONDS = 10
"""A module that takes longer to import waits for something that doesn't come."""


class Reloader:
    """Changes the configuration of a running fairlead."""

    def __init__(
        self,
        running: Running,
        load: Callable[[], LoadedConfig],
        prepare: Callable[[LoadedConfig], Awaitable[Callable[[bool], None]]],
        tell: Tell,
    ) -> None:
        """Nothing happens before `reload`.

        Args:
            running: What is changed.
            load: Reads the configuration again; may block and raise `ConfigErrors`.
            prepare: Readies what lies outside the engine and may fail (an admin address) with
                `EngineError`; answers a function that is told whether the change was made.
            tell: Tells events: ``code_loaded``, ``code_failed``.
        """
        self._running = running
        self._load = load
        self._prepare = prepare
        self._tell = tell
        self._lock = asyncio.Lock()

    async def reload(self) -> list[str]:
        """Read and use the configuration again.

        Returns:
            What changed, one line for each step; empty when nothing did.

        Raises:
            ReloadError: Nothing has changed.
        """
        return await self.use(self._load)

    async def use(self, load: Callable[[], LoadedConfig]) -> list[str]:
        """Use another configuration than the one in force.

        Args:
            load: Reads it; may block and raise `ConfigErrors`.

        Returns:
            What changed, one line for each step; empty when nothing did.

        Raises:
            ReloadError: Nothing has changed.
        """
        async with self._lock:
            try:
                return await self._use(load)
            except ReloadError as error:
                self._running.events.tell("reload_failed", why=error.first)
                raise

    async def plan(self, load: Callable[[], LoadedConfig]) -> list[str]:
        """What `use` would change, without changing it. Raises `ReloadError`."""
        async with self._lock:
            loaded = await _loaded(load)
            members, dropped = self._running.members.fit(loaded.config)
            return self._steps(await _joined(loaded, members)) + dropped

    async def change_members(self, change: Callable[[Members, Config], Members]) -> list[str]:
        """Add or remove backends, beside what is configured.

        Args:
            change: Given what was added and removed so far, and the configuration without it.

        Returns:
            What changed, one line for each step.

        Raises:
            ReloadError: Nothing has changed.
        """
        async with self._lock:
            running = self._running
            if running.stopping:
                raise ReloadError("stopping", "fairlead is stopping")
            members = change(running.members, running.configured)
            config = members.apply(running.configured)
            loaded = await _loaded(lambda: running.loaded.with_config(config))
            code = await self._prepare_code(loaded)
            steps = self._steps(loaded)
            try:
                await in_thread(lambda: running.use(loaded, code))
            except EngineError as error:
                raise ReloadError("bind", str(error), error.hint) from None
            running.members = members
            return steps

    async def change(self, make: Callable[[LoadedConfig], LoadedConfig]) -> None:
        """Go over to what `make` makes of the configuration in force.

        Args:
            make: May block, as it runs in a thread, and raise `ConfigErrors`.

        Raises:
            ConfigErrors: From `make`; nothing has changed.
            EngineError: An address can't be bound; nothing has changed.
            ReloadError: It is too late.
        """
        async with self._lock:
            if self._running.stopping:
                raise ReloadError("stopping", "fairlead is stopping")
            loaded = await in_thread(lambda: make(self._running.loaded))
            await in_thread(lambda: self._running.use(loaded))

    async def use_resolved(self, before: LoadedConfig, after: LoadedConfig) -> bool:
        """Use what names resolve to now, unless a reload came in between; whether it was used."""
        async with self._lock:
            if self._running.loaded is not before or self._running.stopping:
                return False
            await in_thread(lambda: self._running.use(after))
            return True

    async def use_changed_code(self) -> None:
        """Load policies and checks in Python anew, because a file of theirs has changed.

        Whatever comes of it is told as an event; if they can't be loaded, the old ones stay.
        """
        async with self._lock:
            running = self._running
            if running.code is None or running.stopping:
                return
            try:
                prepared = await self._prepare_code(running.loaded)
            except ReloadError as error:
                running.code.note_failed()
                first = error.errors.errors[0].found if error.errors else str(error)
                self._tell("code_failed", why=first)
                return
            before = running.code.objects()
            running.use_code(prepared)
            for name in running.code.objects() - before:
                self._tell("code_loaded", name=name[0])

    async def _prepare_code(self, loaded: LoadedConfig) -> Prepared | None:
        """Load what a configuration names in Python, in bounded time."""
        try:
            async with asyncio.timeout(_IMPORT_SECONDS):
                return await in_thread(lambda: self._running.prepare(loaded))
        except ConfigErrors as errors:
            raise _wrong(errors) from None
        except TimeoutError:
            found = (
                f"the policies and checks in Python were not imported within {_IMPORT_SECONDS} s"
            )
            raise ReloadError("config", found, "the old configuration stays in force") from None

    async def _use(self, load: Callable[[], LoadedConfig]) -> list[str]:
        if self._running.stopping:
            raise ReloadError("stopping", "fairlead is stopping")
        plain = await _loaded(load)
        members, dropped = self._running.members.fit(plain.config)
        loaded = await _joined(plain, members)
        code = await self._prepare_code(loaded)
        steps = self._steps(loaded) + dropped
        try:
            finish = await self._prepare(loaded)
            try:
                steps += await in_thread(lambda: self._running.use(loaded, code))
            except BaseException:
                finish(False)  # noqa: FBT003
                raise
        except EngineError as error:
            raise ReloadError("bind", str(error), error.hint) from None
        finish(True)  # noqa: FBT003
        self._running.members, self._running.configured = members, plain.config
        return steps

    def _steps(self, loaded: LoadedConfig) -> list[str]:
        from fairlead.config.compare import compare

        now = self._running.loaded
        steps = [str(step) for step in compare(now.value, loaded.value)]
        if now.config.workers != loaded.config.workers:
            steps.append("workers: the new number counts from the next start on")
        if now.config.io != loaded.config.io:
            steps.append("io: how the kernel is called is decided at the start, and stays so")
        if now.config.user != loaded.config.user:
            steps.append("user: who fairlead runs as is decided at its start, and stays so")
        if (now.config.admin, now.admin_token) != (loaded.config.admin, loaded.admin_token):
            steps.append("change admin")
        return steps


async def _loaded(load: Callable[[], LoadedConfig]) -> LoadedConfig:
    try:
        return await in_thread(load)
    except ConfigErrors as errors:
        raise _wrong(errors) from None


def _wrong(errors: ConfigErrors) -> ReloadError:
    hint = "the old configuration stays in force"
    return ReloadError("config", str(errors), hint, errors=errors)


async def _joined(loaded: LoadedConfig, members: Members) -> LoadedConfig:
    """The configuration with what operators added and removed."""
    config = members.apply(loaded.config)
    if config == loaded.config:
        return loaded
    return await _loaded(lambda: loaded.with_config(config))
