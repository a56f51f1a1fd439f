"""``check.type = "python"``: a function of the user's says whether a backend is well.

A plain function runs in a thread of its own; async ones of a pool share an event loop in a thread
of their own, so that they may keep a client open between two runs. Neither runs in the event loop
of the control plane: a check that blocks or computes holds up nobody but itself.

What it answers: true is a pass; false, a text (the reason) or an exception a failure. Anything
else is a mistake in the check and says nothing about the backend: it is told, and is no evidence.

Nothing can end a plain function that hangs. The run has failed at its time-out; its thread is left
alone, and the backend's next run begins only when that one has ended.

Not here: when it runs (`repeat`), where the function comes from (`loader`).
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fairlead.health.check import Check, places
from fairlead.health.report import Result, first_line
from fairlead.loader import LoadError, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fairlead.config.loaded import LoadedConfig
    from fairlead.model import Json

_OURS_SECONDS = 0.5
"""A time-out that is noticed so much later was noticed by a busy machine: no evidence."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One run of a check in Python: whom to look at.

    Attributes:
        pool: Name of the pool.
        backend: The backend's address as configured.
        host: Where it is now: an IP address; of a Unix socket, its path.
        port: Its port; ``None`` for a Unix socket.
        timeout_seconds: How long the run may take. Whoever takes longer has failed.
    """

    pool: str
    backend: str
    host: str
    port: int | None
    timeout_seconds: float


class Function:
    """A check function in use by one pool."""

    def __init__(
        self, name: str, call: Callable[[Probe], Any], tell: Callable[[str], None]
    ) -> None:
        """Nothing runs before it is called.

        Args:
            name: What the configuration calls it.
            call: The function.
            tell: Tells what is wrong with the function, once for each mistake.
        """
        self.name = name
        self.call = call
        self._tell = tell
        self._told: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hanging: set[str] = set()

    @property
    def is_async(self) -> bool:
        """Whether it answers a coroutine."""
        call = self.call
        return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(
            getattr(call, "__call__", None)  # noqa: B004  # of an object that can be called
        )

    async def run(self, probe: Probe) -> Result | None:
        """Call it once, for as long as it may take; ``None`` where that is no evidence."""
        if probe.backend in self._hanging:
            what = f"no answer within {probe.timeout_seconds:g} s, nor since"
            return Result(passed=False, what=what)
        self._hanging.add(probe.backend)
        call = _Call(lambda: self._hanging.discard(probe.backend))
        give_up = self._start_async(probe, call) if self.is_async else self._start(probe, call)
        loop = asyncio.get_running_loop()
        try:
            # A turn in a busy loop is late, not failed: the time-out begins when the function does.
            async with asyncio.timeout(probe.timeout_seconds):
                await call.began.wait()
        except TimeoutError:
            give_up()
            self._hanging.discard(probe.backend)
            self._tell_once(
                "keeps its event loop busy: checks of other backends wait for their turn"
            )
            return None
        start = loop.time()
        try:
            async with asyncio.timeout(probe.timeout_seconds):
                answer, error = await asyncio.shield(call.answered)
        except TimeoutError:
            give_up()
            if loop.time() - start > probe.timeout_seconds + _OURS_SECONDS:
                return None  # it was we who were late
            return Result(passed=False, what=f"no answer within {probe.timeout_seconds:g} s")
        return self._judge(answer, error)

    def _start(self, probe: Probe, call: _Call) -> Callable[[], None]:
        """Call a plain function in a thread; what answers gives it up as far as that goes."""

        def work() -> None:
            call.begin()
            try:
                call.settle(self.call(probe), None)
            except BaseException as error:  # noqa: BLE001  # it is the check's result
                call.settle(None, error)

        threading.Thread(target=work, name=f"check {probe.backend}", daemon=True).start()
        return lambda: None

    def _start_async(self, probe: Probe, call: _Call) -> Callable[[], None]:
        async def work() -> None:
            call.begin()
            try:
                call.settle(await self.call(probe), None)
            except BaseException as error:  # noqa: BLE001  # it is the check's result
                call.settle(None, error)

        future = asyncio.run_coroutine_threadsafe(work(), self._own_loop())

        def give_up() -> None:
            future.cancel()

        return give_up

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            name = f"checks {self.name}"
            threading.Thread(target=_live, args=(self._loop,), name=name, daemon=True).start()
        return self._loop

    def stop(self) -> None:
        """End the event loop, if it has one; it isn't waited for."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def _judge(self, answer: Any, error: BaseException | None) -> Result | None:
        if error is not None:
            return Result(passed=False, what=first_line(describe(error).encode()))
        if answer is True:
            return Result(passed=True, what="true")
        if answer is False:
            return Result(passed=False, what="false")
        if isinstance(answer, str):
            return Result(passed=False, what=first_line(answer.encode("utf-8", "replace")))
        kind = "nothing" if answer is None else f"a `{type(answer).__name__}`"
        self._tell_once(f"answers {kind}, which says neither pass nor failure")
        return None

    def _tell_once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._tell(what)


class _Call:
    """One call under way: told from another thread, awaited in the control plane's loop."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = ended
        self.began = asyncio.Event()
        self.answered: asyncio.Future[tuple[Any, BaseException | None]] = self._loop.create_future()

    def begin(self) -> None:
        """Tell that it begins."""
        self._soon(self.began.set)

    def settle(self, answer: Any, error: BaseException | None) -> None:
        """Tell what came of it."""

        def settle() -> None:
            self._ended()
            if not self.answered.done():
                self.answered.set_result((answer, error))

        self._soon(settle)

    def _soon(self, call: Callable[[], object]) -> None:
        # The loop may be gone, and with it whoever waited.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)


def _live(loop: asyncio.AbstractEventLoop) -> None:
    """The whole life of the thread of async checks."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        loop.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCheck(Check):
    """One backend that a function checks."""

    function: Function = field(repr=False)

    async def run(self) -> Result | None:
        """Call it once."""
        port = int(self.port) if self.port else None
        return await self.function.run(
            Probe(self.pool, self.backend, self.name, port, self.timeout_seconds)
        )


def as_function(name: str, of: Any, tell: Callable[[str], None]) -> Function:
    """Make a function in use of what stands under a name.

    Raises:
        LoadError: It can't be called with a probe.
    """
    expected = "a function of one argument, a `fairlead.Probe`"
    if not callable(of) or isinstance(of, type):
        kind = f"the class `{of.__name__}`" if isinstance(of, type) else f"a `{type(of).__name__}`"
        raise LoadError(f"`{name}` is {kind}, not a function", expected)
    try:
        inspect.signature(of).bind(None)
    except TypeError as error:
        raise LoadError(f"`{name}` can't be called with a probe: {error}", expected) from None
    except ValueError:
        pass  # one without a signature: it will be seen
    return Function(name, of, tell)


def checks_of(
    loaded: LoadedConfig, plan: Json, functions: Mapping[str, Function]
) -> list[FunctionCheck]:
    """The python checks of a configuration, in its order; ``functions`` are by pool."""
    return [
        FunctionCheck(**place, function=functions[place["pool"]])
        for place in places(loaded, plan, "python")
    ]
