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
from fairlead.errors import ConfigErrors, EngineError, FairleadError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fairlead.config.loaded import LoadedConfig
    from fairlead.control.running import Running


class ReloadError(FairleadError):
    """A reload that changed nothing.

    Attributes:
        code: ``config`` (it is wrong), ``bind`` (an address can't be had), ``stopping``.
        hint: What to do about it, or ``None``.
        first: The first thing that is wrong, in one line.
    """

    def __init__(
        self, code: str, message: str, hint: str | None = None, *, first: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.first = first or message.partition("\n")[0]


class Reloader:
    """Changes the configuration of a running fairlead."""

    def __init__(
        self,
        running: Running,
        load: Callable[[], LoadedConfig],
        prepare: Callable[[LoadedConfig], Awaitable[Callable[[bool], None]]],
    ) -> None:
        """Nothing happens before `reload`.

        Args:
            running: What is changed.
            load: Reads the configuration again; may block and raise `ConfigErrors`.
            prepare: Readies what lies outside the engine and may fail (an admin address) with
                `EngineError`; answers a function that is told whether the change was made.
        """
        self._running = running
        self._load = load
        self._prepare = prepare
        self._lock = asyncio.Lock()

    async def reload(self) -> list[str]:
        """Read and use the configuration again.

        Returns:
            What changed, one line for each step; empty when nothing did.

        Raises:
            ReloadError: Nothing has changed.
        """
        async with self._lock:
            try:
                return await self._reload()
            except ReloadError as error:
                self._running.events.tell("reload_failed", why=error.first)
                raise

    async def use_resolved(self, before: LoadedConfig, after: LoadedConfig) -> bool:
        """Use what names resolve to now, unless a reload came in between; whether it was used."""
        async with self._lock:
            if self._running.loaded is not before or self._running.stopping:
                return False
            await in_thread(lambda: self._running.use(after))
            return True

    async def _reload(self) -> list[str]:
        if self._running.stopping:
            raise ReloadError("stopping", "fairlead is stopping")
        try:
            loaded = await in_thread(self._load)
        except ConfigErrors as error:
            hint = "the old configuration stays in force"
            raise ReloadError("config", str(error), hint, first=str(error.errors[0])) from None
        steps = self._steps(loaded)
        try:
            finish = await self._prepare(loaded)
            try:
                steps += await in_thread(lambda: self._running.use(loaded))
            except BaseException:
                finish(False)  # noqa: FBT003
                raise
        except EngineError as error:
            raise ReloadError("bind", str(error), error.hint) from None
        finish(True)  # noqa: FBT003
        return steps

    def _steps(self, loaded: LoadedConfig) -> list[str]:
        from fairlead.config.compare import compare

        now = self._running.loaded
        steps = [str(step) for step in compare(now.value, loaded.value)]
        if now.config.workers != loaded.config.workers:
            steps.append("workers: the new number counts from the next start on")
        return steps
