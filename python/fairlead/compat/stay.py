"""An instance's life: conversations, monitoring, notices, and its two ways to end.

TERM and INT end it as any fairlead: connections finish within half a minute. `kill` doesn't cut
them at all: the instance listens no more, so that another may take the port at once, and is gone
when its last connection is. Not here: the start (`serve`), what commands do (`shell`, `table`).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairlead.compat.door import Rendezvous
from fairlead.compat.layout import NAME
from fairlead.compat.monitor import Monitor
from fairlead.compat.notice import Channel, Notices, open_log
from fairlead.compat.silence import Silences
from fairlead.compat.table import Table
from fairlead.control.loop import ControlLoop
from fairlead.control.stay import Signals
from fairlead.control.teller import Teller
from fairlead.control.thread import in_thread
from fairlead.errors import EngineError, ReloadError
from fairlead.tasks import for_ever

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from fairlead.compat.spec import Monitoring
    from fairlead.config.loaded import LoadedConfig
    from fairlead.control.events import Subscription
    from fairlead.control.paths import Listening
    from fairlead.control.running import Running
    from fairlead.model import Json

__all__ = ["Instance", "Opened", "stay"]

_LAST_WORDS_SECONDS = 0.5
_CUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Opened:
    """What the start has opened.

    Attributes:
        running: The engine and what is in force in it.
        control: fairlead's own control socket, if it could be opened.
        meeting: The rendezvous.
        monitoring: What is to be checked, if anything.
    """

    running: Running
    control: Listening | None
    meeting: Listening
    monitoring: Monitoring | None


async def stay(opened: Opened, tell: Callable[[str], None], early: list[int]) -> None:
    """Run until a signal or `kill` ends it.

    Args:
        opened: What the start opened.
        tell: Writes a line for people; may block.
        early: Signals that came before there was a loop.
    """
    teller = Teller(tell)
    running = opened.running

    def resolve_again() -> LoadedConfig:
        return running.loaded.resolve()

    control = ControlLoop(running, resolve_again, teller.say)
    signals = Signals(control, teller)
    signals.catch(early)
    instance = Instance(running, control, opened.monitoring, teller.say)
    door = Rendezvous(instance, opened.meeting)
    instance.on_kill = door.leave
    await control.start(opened.control, None)
    door.open()
    tasks = [for_ever(what, work, teller.say) for what, work in instance.work().items()]
    await _first_of(signals.ended, asyncio.ensure_future(instance.killed.wait()))
    for task in tasks:
        task.cancel()
    instance.tell_of_silences()
    if signals.ended.done():
        why = signals.ended.result()
        teller.say(f"{why}: finishing what is under way, taking nothing new")
        await control.stop(why)
    else:
        teller.say("kill: finishing what is under way, the port is free")
        await _finish(control, signals)
    door.close()
    teller.say("stopped")
    teller.flush(_LAST_WORDS_SECONDS)


async def _finish(control: ControlLoop, signals: Signals) -> None:
    """Wait for the last connection; a signal makes that short."""
    finishing = asyncio.ensure_future(control.stop("kill"))
    await _first_of(signals.ended, finishing)
    if not finishing.done():
        await in_thread(lambda: control.running.engine.stop(_CUT_SECONDS))
    await finishing


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


class Instance(Table):
    """The channels, and what watches over them: what the commands steer."""

    def __init__(
        self,
        running: Running,
        control: ControlLoop,
        monitoring: Monitoring | None,
        say: Callable[[str], None],
    ) -> None:
        """Nothing is watched before `work` is run.

        Args:
            running: The engine, with a `Layout` in force.
            control: Changes what is in force.
            monitoring: What is to be checked, if anything.
            say: Says a line to people, where somebody reads it.
        """
        assert running.loaded is not None, "there is something in force"
        self.killed = asyncio.Event()
        self.on_kill: Callable[[], None] = lambda: None
        self._events = running.events
        self._monitor: Monitor | None = None
        super().__init__(running, control.change)
        options = self.layout.settings.arguments
        enables = monitoring is None or monitoring.enable
        self._stays = not enables
        self._traffic_stays = options.autodisable and (options.strict or not enables)
        self.soft = options.autodisable or monitoring is not None
        log = open_log()
        self._notices = Notices(log, autodisable=options.autodisable)
        self._silences: Silences | None = None
        if options.idle_seconds:
            tell = say if options.foreground else log
            self._silences = Silences(running.engine, options.idle_seconds, tell)
        if monitoring is not None:
            self._monitor = Monitor(
                monitoring,
                self,
                running.engine.report_check,
                source=options.source,
                hold_back=options.autodisable,
            )

    def work(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What is to go on for as long as the instance listens, by name."""
        news = asyncio.Event()
        news.set()
        subscription = self._events.subscribe(news.set, after=0)
        work = {"following health": lambda: self._follow(news, subscription)}
        if self._monitor is not None:
            work["checking backends"] = self._monitor.run
        if self._silences is not None:
            work["looking for silent connections"] = self._silences.run
        return work

    def tell_of_silences(self) -> None:
        """Tell of connections that `-T` has ended and nobody was told of yet."""
        if self._silences is not None:
            self._silences.look()

    @property
    def monitoring(self) -> bool | None:
        """Whether checks run; `None` if there are none to run."""
        return self._monitor.enabled if self._monitor is not None else None

    def set_monitoring(self, *, enabled: bool) -> None:
        """Let checks run or rest."""
        if self._monitor is not None:
            self._monitor.enabled = enabled

    async def kill(self) -> bool:
        """End: listen no more, finish what is under way; whether the port is free."""
        # Who doesn't listen any more doesn't count any more.
        self.tell_of_silences()
        try:
            await self.close()
        except (ReloadError, EngineError):
            return False
        # Whoever asks from now on finds nobody, or the next instance.
        self.on_kill()
        self.killed.set()
        return True

    async def _follow(self, news: asyncio.Event, subscription: Subscription) -> None:
        """Hear of every change of health, for ever."""
        while True:
            await news.wait()
            news.clear()
            for event in subscription.take():
                self._heard(json.loads(event))

    def _heard(self, event: Json) -> None:
        if event["event"] != "health" or event["pool"] != NAME:
            return
        name, why = event["backend"], event["why"]
        row = self.find(name)
        if row is None:
            return
        by_traffic = why.startswith("traffic")
        stays = event["to"] == "down" and (self._traffic_stays if by_traffic else self._stays)
        channel = Channel(row.group, row.number, row.address, row.port)
        if self.soft:
            self._notices.changed(channel, event["from"], event["to"], why, stays=stays)
        if stays:
            self.latch(name)
        elif by_traffic and self._monitor is not None and event["to"] in ("suspect", "down"):
            self._monitor.look_at(name)
