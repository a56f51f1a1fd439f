"""Tasks that go on for as long as the instance does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["for_ever"]

AGAIN_SECONDS = 5.0
"""From a fault until what it ended begins again. A fault that comes each time is said at this pace,
which is slow enough for a log, and soon enough for checks to be missed for no longer."""


def for_ever(
    what: str, work: Callable[[], Coroutine[Any, Any, None]], say: Callable[[str], None]
) -> asyncio.Task[None]:
    """Do what should go on until it is cancelled; after a fault that ends it, again.

    Args:
        what: Names the work in what is said of a fault.
        work: Does it, from its beginning.
        say: Says a line to people.
    """
    return asyncio.ensure_future(_again_and_again(what, work, say))


async def _again_and_again(
    what: str, work: Callable[[], Coroutine[Any, Any, None]], say: Callable[[str], None]
) -> None:
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # of us there is nobody else who hears of it
            say(f"a fault in fairlead, {what} begins again: {error!r}")
        else:
            return
        await asyncio.sleep(AGAIN_SECONDS)
