"""The demo itself: starts everything, plays the script, shows it, ends everything.

Backends and clients are processes of their own, so that killing and freezing are what they say
and nothing but the balancer under test is between them. The balancer runs in this process, as it
would in a program that embeds it. Whatever way this ends, the processes end too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from fairlead.balancer import Balancer
from fairlead.control.thread import in_thread
from fairlead.demo import scenario
from fairlead.demo.report import Change, Chronicle, Count, Report
from fairlead.demo.tally import Batch, Tally
from fairlead.demo.view import Scene
from fairlead.testing.process import BackendProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from typing import Any

    from fairlead.demo.report import Counts
    from fairlead.demo.scenario import Act
    from fairlead.demo.view import View
    from fairlead.model import Backend

POOL = "trees"

CONFIGURATION = """
shutdown_timeout = "2s"

[listeners.demo]
bind = "127.0.0.1:0"
pool = "trees"

[pools.trees]
policy = "peak-ewma"
backends = [
{backends}
]

[pools.trees.check]
type = "http"
path = "/healthz"
interval = "500ms"
fast_interval = "200ms"
timeout = "400ms"
rise = 2
fall = 3

[pools.trees.retry]
attempts = 5
"""
"""What the balancer of the demo is told. Everything else is as it is by default."""

SETTINGS = (
    "settings: peak-ewma, GET /healthz every 500 ms (200 ms in doubt, time-out 400 ms, rise 2, "
    "fall 3), 5 attempts; all else by default"
)

_FRAME_SECONDS = 0.25
_LAST_ANSWERS_SECONDS = 3.0


class Demo:
    """One run of the demo."""

    def __init__(self, seconds: float | None, view: View) -> None:
        """Nothing runs before `play`.

        Args:
            seconds: How long; ``None`` until somebody ends it.
            view: What shows it.
        """
        self._seconds = seconds
        self._view = view
        self._backends = {
            name: BackendProcess(name) for name in (*scenario.BACKENDS, scenario.RESERVE)
        }
        self._names = {backend.address: name for name, backend in self._backends.items()}
        self._balancer = Balancer.from_text(_configuration(self._backends))
        self._chronicle = Chronicle()
        self._tally = Tally()
        self._acts: list[Act] = []
        self._ended = asyncio.Event()
        self._began = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def end(self) -> None:
        """End early."""
        self._ended.set()

    async def play(self) -> Report:
        """Run it; what came of it."""
        try:
            return await self._play()
        finally:
            for task in self._tasks:
                task.cancel()
            for backend in self._backends.values():
                backend.stop()
            await self._balancer.stop()

    async def _play(self) -> Report:
        # From this thread: the processes end when the one that started them does.
        for backend in self._backends.values():
            backend.launch()
        for backend in self._backends.values():
            await in_thread(backend.wait_ready)
        await self._balancer.start()
        async with _clients(self._balancer.addresses[0][1], self._count) as clients:
            self._began = self._now()
            self._view.start(_opening(self._seconds, self._balancer.addresses[0][1]))
            self._spawn(self._watch())
            for act in (self._perform, self._draw):
                self._spawn(act())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._ended.wait()
            seconds = self._time()
            await clients.finish()
        self._view.stop()
        return Report.of(seconds, self._chronicle.deeds(self._counts()), self._tally)

    # -- the script ------------------------------------------------------------------------

    async def _perform(self) -> None:
        """Begin each act when its time comes."""
        for act in scenario.acts(self._seconds):
            await asyncio.sleep(max(0.0, act.begins - self._time()))
            self._spawn(self._one_act(act))

    async def _one_act(self, act: Act) -> None:
        self._say(f"{_named(act.backends)}: {act.text}")
        self._chronicle.begin(act, self._time(), self._counts())
        self._acts.append(act)
        for name in act.backends:
            await self._do(name, act)
        await asyncio.sleep(max(0.0, act.ends - self._time()))
        await self._undo(act)
        self._acts.remove(act)
        self._chronicle.end(act, self._time(), self._counts())
        self._say(f"{_named(act.backends)}: well again")

    async def _do(self, name: str, act: Act) -> None:
        backend = self._backends[name]
        if act.deed == "slow":
            await in_thread(lambda: backend.call("slow", seconds=scenario.SLOW_SECONDS))
        elif act.deed == "swallow":
            await in_thread(lambda: backend.call("swallow"))
        elif act.deed == "break_off":
            await in_thread(lambda: backend.call("half_head"))
        elif act.deed == "freeze":
            backend.freeze()
        elif act.deed == "kill":
            backend.kill()
        else:
            self._balancer.set_backend(POOL, backend.address, state="draining")

    async def _undo(self, act: Act) -> None:
        backends = [self._backends[name] for name in act.backends]
        for backend in backends:
            if act.deed == "freeze":
                backend.thaw()
            elif act.deed == "kill":
                backend.launch()
            elif act.deed == "drain":
                self._balancer.set_backend(POOL, backend.address, state="enabled")
            else:
                await in_thread(partial(backend.call, "answer"))
        if act.deed == "kill":
            for backend in backends:
                await in_thread(backend.wait_ready)

    # -- watching --------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Note and say each change of health."""
        async for event in self._balancer.events():
            name = self._names.get(event.backend, event.backend)
            if event.kind == "health":
                to, why = event.detail["to"], self._with_names(event.detail["why"])
                self._chronicle.change(Change(self._time(), name, to, why))
                self._say(f"  fairlead: {name} {event.detail['from']} -> {to}: {why}")
            elif event.kind == "wish":
                self._say(f"  fairlead: {name} {event.detail['what']}")

    async def _draw(self) -> None:
        while True:
            scene = Scene(self._time(), self._seconds, self._now_of(), self._acts, self._tally)
            self._view.show(scene)
            await asyncio.sleep(_FRAME_SECONDS)

    def _count(self, batch: Batch) -> None:
        self._tally.add(batch, self._now())

    def _now_of(self) -> dict[str, Backend]:
        """Each backend as fairlead sees it, by its name."""
        pool = self._balancer.status().pool(POOL)
        assert pool is not None, "the configuration has this pool"
        return {self._names[backend.address]: backend for backend in pool.backends}

    def _counts(self) -> Counts:
        return {
            name: Count(backend.requests, backend.failures)
            for name, backend in self._now_of().items()
        }

    def _with_names(self, why: str) -> str:
        """What fairlead said, with our names for its addresses."""
        for address, name in self._names.items():
            why = why.replace(address, name)
        return why

    def _say(self, text: str) -> None:
        self._view.line(self._time(), text)

    # -- time and tasks --------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _time(self) -> float:
        return self._now() - self._began

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        """A part that fails ends the demo; a demo that goes on without it would lie."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._say(f"the demo failed: {task.exception()!r}")
            self._tally.add(Batch([], [f"the demo failed: {task.exception()!r}"], {}), self._now())
            self.end()


class _Clients:
    """The clients' process."""

    def __init__(self, process: asyncio.subprocess.Process, count: Callable[[Batch], None]) -> None:
        self._process = process
        self._reading = asyncio.ensure_future(self._read(count))

    async def finish(self) -> None:
        """Ask nothing new, wait a moment for what is under way."""
        assert self._process.stdin is not None, "it was started with a pipe"
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_ANSWERS_SECONDS):
                await asyncio.shield(self._reading)

    async def kill(self) -> None:
        """End it at once; that it has ended is fine."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self, count: Callable[[Batch], None]) -> None:
        assert self._process.stdout is not None, "it was started with a pipe"
        async for line in self._process.stdout:
            report = json.loads(line)
            count(Batch(report["latencies_ms"], report["errors"], report["by_backend"]))


@contextlib.asynccontextmanager
async def _clients(address: str, count: Callable[[Batch], None]) -> AsyncIterator[_Clients]:
    name, _, port = address.rpartition(":")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fairlead.demo.clients", name, port),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=1 << 20,
    )
    clients = _Clients(process, count)
    try:
        yield clients
    finally:
        await clients.kill()


async def play(seconds: float | None, view: View) -> Report:
    """Run the demo until its time is over, a signal comes, or somebody presses q."""
    demo = Demo(seconds, view)
    loop = asyncio.get_running_loop()
    signals = 0

    def interrupted() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            # The processes end with us, frozen ones too.
            os._exit(130)
        demo.end()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    with _keys(demo.end):
        return await demo.play()


@contextlib.contextmanager
def _keys(quit_: Callable[[], None]) -> Iterator[None]:
    """Call `quit_` when q is pressed; the terminal is left as it was."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        if os.read(sys.stdin.fileno(), 32).lower().startswith(b"q"):
            quit_()

    tty.setcbreak(sys.stdin)
    loop.add_reader(sys.stdin, pressed)
    try:
        yield
    finally:
        loop.remove_reader(sys.stdin)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _configuration(backends: dict[str, BackendProcess]) -> str:
    rows = [
        f'  {{ address = "{backend.address}", group = {int(name == scenario.RESERVE)} }},'
        for name, backend in backends.items()
    ]
    return CONFIGURATION.replace("{backends}", "\n".join(rows))


def _opening(seconds: float | None, address: str) -> list[str]:
    four = ", ".join(scenario.BACKENDS)
    span = "until Ctrl-C" if seconds is None else f"for {seconds:g} s"
    return [
        (
            f"fairlead demo: {four} and the reserve {scenario.RESERVE} misbehave {span}, "
            f"80 requests/s ask http://{address}/hello all the while"
        ),
        SETTINGS,
    ]


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(names)
