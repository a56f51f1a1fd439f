"""``serve``: from a configuration to a running fairlead and to its end.

The order of a start is what keeps it short and safe: signals are caught first, so that a stop
that comes early is not lost; then everything is bound (what can't be is told, and nothing runs);
then backends are probed once, bounded; then clients are let in and ``ready`` is said. The event
loop is imported only after that, because the import takes longer than all the rest.

Not here: life after the start (`stay`), what the loop does (`loop`), printing (``tell`` is the command line's).
"""

from __future__ import annotations

import signal
from importlib import import_module
from typing import TYPE_CHECKING

from fairlead.control import paths
from fairlead.control.engine import start_engine
from fairlead.control.running import Running
from fairlead.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType

    from fairlead.config.loaded import LoadedConfig
    from fairlead.control.paths import Listening

CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Two signals that end fairlead, and one that reloads it."""

_DONE, _WRONG_USAGE = 0, 2
_LISTENERS_TOLD = 10


def serve(
    first: LoadedConfig, reload: Callable[[], LoadedConfig], *, tell: Callable[[str], None]
) -> int:
    """Run until a signal ends it. Called in the main thread.

    Args:
        first: The configuration to begin with.
        reload: Reads it again; may block, and raise `ConfigErrors`.
        tell: Writes a line for people; may block.

    Returns:
        The exit code: 0 stopped, 2 an address can't be had.
    """
    early = _catch_early()
    raise_file_limit()
    running = Running(start_engine(first.config.workers), first)
    try:
        running.start()
        admin = paths.listen_admin(first.config.admin.listen) if first.config.admin else None
    except EngineError as error:
        running.engine.stop(0)
        tell(str(error))
        if error.hint:
            tell(f"hint: {error.hint}")
        return _WRONG_USAGE
    control = _bind_control(tell)
    _tell_listeners(running, tell)
    # Checks in Python need the loop, so only then does the start wait for its import.
    open_later = any(pool.check.type == "command" for pool in first.config.pools.values())
    if not open_later:
        running.open()
        tell("ready")

    asyncio = _asyncio_without_tls()
    from fairlead.control.stay import Opened, stay

    opened = Opened(running, control, admin, ready=not open_later)
    asyncio.run(stay(opened, reload, tell, early))
    return _DONE


def _asyncio_without_tls() -> ModuleType:
    """Import asyncio without ``ssl``, which it can do without: 4 MB of memory for nothing.

    The control plane speaks no TLS. Only this process does so; a program that embeds fairlead has
    its asyncio whole.
    """
    import sys

    hidden = "ssl" not in sys.modules
    if hidden:
        sys.modules["ssl"] = None  # type: ignore[assignment]  # the import system's own "not here"
    try:
        return import_module("asyncio")
    finally:
        if hidden:
            del sys.modules["ssl"]


def raise_file_limit() -> None:
    """Let this process open as many files as it may: each connection is one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _catch_early() -> list[int]:
    """Catch signals before there is a loop to handle them; the list fills as they come."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    for caught in CAUGHT:
        signal.signal(caught, note)
    return came


def _bind_control(tell: Callable[[str], None]) -> Listening | None:
    """Open the control socket; without one fairlead still serves."""
    try:
        return paths.listen()
    except OSError as error:
        tell(f"no control socket: {error}; `fairlead status` and the like won't find this instance")
        return None


def _tell_listeners(running: Running, tell: Callable[[str], None]) -> None:
    addresses = running.engine.addresses()
    for name, address in addresses[:_LISTENERS_TOLD]:
        tell(f"listening on {address} ({name})")
    more = len(addresses) - _LISTENERS_TOLD
    if more > 0:
        tell(f"listening on {more} more addresses")
