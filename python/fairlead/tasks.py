"""Tasks that go on for as long as the instance does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["for_ever"]


def for_ever(work: Coroutine[None, None, None], say: Callable[[str], None]) -> asyncio.Task[None]:
    """Begin what should go on until it is cancelled; a fault that ends it is said.

    Nobody waits for such a task who would be told otherwise.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda ended: _tell_of_fault(ended, say))
    return task


def _tell_of_fault(task: asyncio.Task[None], say: Callable[[str], None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        say(f"a fault in fairlead: {error!r}")
