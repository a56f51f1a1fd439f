"""Blocking calls beside the event loop, in threads that nobody waits for at the end.

`asyncio.to_thread` keeps a pool whose threads are joined when the process ends, so a name lookup
that hangs would hold up the exit. These are daemon threads, one per call; calls are rare (a
reload, a resolution, the stop).
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


async def in_thread(call: Callable[[], Result]) -> Result:
    """Run `call` in a thread of its own; answer or raise what it does."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def hand_over(result: Result | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only with an error, or if Result is

    def run() -> None:
        result, failure = None, None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  # raised again where it is awaited
            failure = error
        # The loop may be gone by now, and with it whoever waited.
        if not loop.is_closed():
            loop.call_soon_threadsafe(hand_over, result, failure)

    threading.Thread(target=run, name=f"fairlead {call!r:.40}", daemon=True).start()
    return await future
