"""An event loop in a thread of its own that other threads can speak to, freeze and end.

Freezing is done by blocking the thread: sockets stay as they are and the kernel goes on for us,
which is what SIGSTOP looks like from the network.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 10.0
"""So long a caller waits for the thread to react before it gives up with `TimeoutError`."""


class LoopThread:
    """One thread with one event loop. Everything but `loop` may be called from any thread."""

    def __init__(self, name: str) -> None:
        """Make it; `start` runs it."""
        self._name = name
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._thaw: threading.Event | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; `RuntimeError` when it doesn't run."""
        if self._loop is None:
            raise RuntimeError(f"{self._name} is not running")
        return self._loop

    def start(self) -> None:
        """Run the thread and wait until its loop does."""
        started = threading.Event()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(started)), name=self._name, daemon=True
        )
        self._thread.start()
        self._expect(started)

    def call(self, call: Callable[[], None]) -> None:
        """Thaw, run `call` in the loop's thread, wait for it, raise what it raised."""
        self.thaw()
        done = threading.Event()
        failures: list[Exception] = []

        def run() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001  # raised again in the caller's thread
                failures.append(error)
            done.set()

        self.loop.call_soon_threadsafe(run)
        self._expect(done)
        if failures:
            raise failures[0]

    def freeze(self) -> None:
        """Block the thread until `thaw` or any `call`."""
        if self._thaw is not None:
            return
        frozen, thaw = threading.Event(), threading.Event()

        def stand_still() -> None:
            frozen.set()
            thaw.wait()

        self.loop.call_soon_threadsafe(stand_still)
        self._thaw = thaw
        self._expect(frozen)

    def thaw(self) -> None:
        """Go on where `freeze` stopped."""
        if self._thaw is not None:
            self._thaw.set()
            self._thaw = None

    def stop(self) -> None:
        """Cancel what runs and end the thread. Stopping twice is fine."""
        if self._thread is None:
            return
        self.call(self._ended.set)
        self._thread.join(PATIENCE_SECONDS)
        self._thread = self._loop = None

    def _expect(self, event: threading.Event) -> None:
        if not event.wait(PATIENCE_SECONDS):
            raise TimeoutError(f"{self._name} did not react within {PATIENCE_SECONDS:.0f} s")

    async def _main(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        started.set()
        # The end cancels whatever still runs; asyncio.run does that for us.
        await self._ended.wait()
