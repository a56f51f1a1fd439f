"""From ready to the end: the event loop's main coroutine, and the signals.

TERM and INT end it: what is under way is finished within the shutdown time-out. INT during that
ends at once, with exit code 130. HUP reloads. The engine hears of signals first and passes them on:
what this loop doesn't begin within a second, because Python is stuck, the engine does without it.

Not here: the start (`run`), what the loop does (`loop`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairlead.control.loop import ControlLoop
from fairlead.control.run import CAUGHT, summary
from fairlead.control.teller import Teller
from fairlead.errors import ReloadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead.config.loaded import LoadedConfig
    from fairlead.control.paths import Listening
    from fairlead.control.running import Running
    from fairlead.control.service import Manager

_INTERRUPTED = 130
_LAST_WORDS_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Opened:
    """What a start has opened.

    Attributes:
        running: The engine and what is in force in it.
        control: The control socket, if it could be opened.
        admin: The admin address, if one is configured.
        manager: Whoever has started this process, and wants to know how it goes.
        ready: Whether clients are let in already.
    """

    running: Running
    control: Listening | None
    admin: Listening | None
    manager: Manager
    ready: bool


async def stay(
    opened: Opened,
    reload: Callable[[], LoadedConfig],
    tell: Callable[[str], None],
    early: list[int],
) -> None:
    """Run until a signal ends it.

    Args:
        opened: What the start opened.
        reload: Reads the configuration again.
        tell: Writes a line for people; may block.
        early: Signals that came before there was a loop.
    """
    teller = Teller(tell)
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: teller.say(f"control plane: {_told(context)}")
    )
    control = ControlLoop(opened.running, reload, teller.say)
    signals = Signals(control, teller, opened.manager)
    signals.catch(early)
    await control.start(opened.control, opened.admin)
    if not opened.ready:
        await control.first_checks()
        opened.running.engine.start_accepting()
        teller.say("ready")
        opened.manager.ready(summary(opened.running))
    why = await signals.ended
    opened.manager.stopping(why)
    teller.say(f"{why}: finishing what is under way, taking nothing new")
    finished = await control.stop(why)
    teller.say("stopped" if finished else "stopped; connections that were left were cut")
    teller.flush(_LAST_WORDS_SECONDS)


class Signals:
    """Turns signals into a reload or an end."""

    def __init__(
        self, control: ControlLoop, teller: Teller, manager: Manager | None = None
    ) -> None:
        """Nothing is caught before `catch`."""
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._control = control
        self._teller = teller
        self._manager = manager
        self._reloads: set[asyncio.Task[None]] = set()

    def catch(self, early: list[int]) -> None:
        """Handle signals from now on, and those that came early."""
        loop = asyncio.get_running_loop()
        for number in CAUGHT:
            loop.add_signal_handler(number, self.handle, number)
        self._have_heeded()
        for came in early:
            self.handle(came)

    def _have_heeded(self) -> None:
        """Have the engine see to a stop if this loop doesn't."""
        running = self._control.running
        timeout = running.loaded.config.shutdown_timeout.total_seconds()
        manager = self._manager.socket if self._manager is not None else ""
        try:
            heeded = running.engine.heed_signals(timeout, manager)
        except OSError as error:
            self._teller.say(f"signals have to wait while Python is stuck: {error}")
            return
        ours = signal.set_wakeup_fd(heeded, warn_on_full_buffer=False)
        try:
            running.engine.pass_signals_on(ours)
        except OSError as error:
            signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
            self._teller.say(f"signals have to wait while Python is stuck: {error}")

    def handle(self, number: int) -> None:
        """Handle one signal."""
        self._control.running.engine.heard()
        if number == signal.SIGHUP:
            task = asyncio.ensure_future(self._reload())
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)
        elif not self.ended.done():
            self.ended.set_result(signal.Signals(number).name)
        elif number == signal.SIGINT:
            self._end_now()

    async def _reload(self) -> None:
        if self._manager is not None:
            self._manager.reloading()
        try:
            await self._control.reload_now()
        except ReloadError:
            pass  # said by the loop, and what was in force still is
        except Exception as error:  # noqa: BLE001  # a fault in reading must not end what runs
            self._teller.say(f"reload failed by a fault in fairlead: {error!r}")
        if self._manager is not None:
            self._manager.ready(summary(self._control.running))

    def _end_now(self) -> None:
        self._teller.say("interrupted again: cutting what is left")
        self._control.close_doors()
        self._teller.flush(_LAST_WORDS_SECONDS)
        os._exit(_INTERRUPTED)


def _told(context: dict[str, Any]) -> str:
    """What the loop complains of, in a line: never a traceback at a user."""
    error = context.get("exception")
    return f"{context['message']}: {error!r}" if error is not None else str(context["message"])
