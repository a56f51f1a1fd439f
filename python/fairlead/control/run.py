"""``serve``: from a configuration to a running fairlead and to its end.

The order of a start is what keeps it short and safe: signals are caught first, so that a stop
that comes early is not lost; then everything is bound (what can't be is told, and nothing runs);
then root is given up, if the configuration names a user;
then backends are probed once, bounded; then clients are let in and ``ready`` is said. The event
loop is imported only after that, because the import takes longer than all the rest.

Not here: life after the start (`stay`), what the loop does (`loop`), printing (``tell`` is the command line's).
"""

from __future__ import annotations

import errno
import os
import signal
import time
from importlib import import_module
from typing import TYPE_CHECKING

from fairlead.control import paths
from fairlead.control.engine import start_engine
from fairlead.control.running import Running
from fairlead.control.service import Manager, admin_socket, unused
from fairlead.errors import EngineError
from fairlead.words import counted

if TYPE_CHECKING:
    from asyncio import Runner
    from collections.abc import Callable
    from types import FrameType, ModuleType

    from fairlead.config.loaded import LoadedConfig
    from fairlead.control.paths import Listening
    from fairlead.control.service import Passed

CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Two signals that end fairlead, and one that reloads it."""

_DONE, _FAILED, _WRONG_USAGE = 0, 1, 2
_RETRY_SECONDS = 0.25
_FILES_NEEDED = 8
_FILES_PLENTY = 4096
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
    early = catch_early()
    manager = Manager(os.environ)
    raise_file_limit()
    running = Running(start_engine(first.config.workers, first.config.io), first)
    try:
        admin = open_all(running, manager, tell)
    except EngineError as error:
        running.engine.stop(0)
        tell(str(error))
        if error.hint:
            tell(f"hint: {error.hint}")
        return _WRONG_USAGE
    control = bind_control(tell)
    _tell_listeners(running, tell)
    open_later = needs_loop_first(first)
    if not open_later:
        running.open()
        tell("ready")
        manager.ready(summary(running))

    try:
        runner = loop_when_possible(tell, early)
        if runner is None:
            running.engine.stop(first.config.shutdown_timeout.total_seconds())
            return _DONE
        from fairlead.control.stay import Opened, stay

        opened = Opened(running, control, admin, manager, ready=not open_later)
        with runner:
            runner.run(stay(opened, reload, tell, early))
    except Exception as error:  # noqa: BLE001  # whatever it is, traffic must not end with it
        return _go_on_without_control(running, tell, error)
    finally:
        for listening in (control, admin):
            if listening is not None:
                paths.close(listening)
    return _DONE


def open_all(running: Running, manager: Manager, tell: Callable[[str], None]) -> Listening | None:
    """Bind everything, and give root up if that is wanted: nothing needs it afterwards.

    Args:
        running: What is to run.
        manager: Whoever has started this process.
        tell: Writes a line for people.

    Returns:
        The admin address, if one is configured.

    Raises:
        EngineError: Something can't be had.
    """
    from fairlead.control import privilege

    first = running.loaded
    user = privilege.find(first.config.user) if first.config.user else None
    if user is not None:
        privilege.prepare(user, first)
    passed = manager.hand_over(running.engine)
    running.start()
    used = [address for _, address in running.engine.addresses()]
    admin = None
    if first.config.admin is not None:
        admin = admin_socket(passed, first.config.admin.listen)
        used += [each.address for each in passed if admin is not None and _is_at(admin, each)]
        admin = admin or paths.listen_admin(first.config.admin.listen)
    for line in unused(passed, used):
        tell(line)
    manager.watch(running.engine)
    if user is not None:
        privilege.drop(user)
        for line in privilege.check_files(user, first):
            tell(line)
    return admin


def _is_at(listening: Listening, passed: Passed) -> bool:
    return os.path.sameopenfile(listening.socket.fileno(), passed.number)


def summary(running: Running) -> str:
    """What runs, in a few words, for whoever lists services."""
    plan = running.loaded.value
    backends = sum(len(pool.backends) for pool in plan.pools)
    return f"serving: {counted(len(plan.listeners), 'listener')}, {counted(backends, 'backend')}"


def loop_when_possible(tell: Callable[[str], None], early: list[int]) -> Runner | None:
    """Make the event loop; where files run short, wait until some are closed.

    Clients are let in already, and nothing that they do may end this process.

    Returns:
        The loop's runner; ``None`` if a signal ended the wait.
    """
    told = False
    while True:
        if not _short_of_files():
            try:
                return _import_loop()
            except (OSError, ImportError):
                if not _short_of_files():
                    raise
        if not told:
            tell("out of file descriptors: the control socket waits until some are closed")
            told = True
        if _ends(early):
            return None
        time.sleep(_RETRY_SECONDS)


def _import_loop() -> Runner:
    runner: Runner = _asyncio_without_tls().Runner()
    runner.get_loop()
    import_module("fairlead.control.stay")
    return runner


def _short_of_files() -> bool:
    """Whether this process can't open a few files now; a single free one is soon gone."""
    opened = []
    try:
        opened = [os.dup(2) for _ in range(_FILES_NEEDED)]
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for number in opened:
            os.close(number)
    return False


def _go_on_without_control(running: Running, tell: Callable[[str], None], error: Exception) -> int:
    """Serve on when the control plane failed: no API, no reload, until a signal ends it."""
    early = catch_early()
    tell(f"the control plane failed, traffic goes on without it: {error!r}")
    tell("hint: this is a bug in fairlead; TERM ends it gracefully")
    while not _ends(early):
        time.sleep(_RETRY_SECONDS)
    running.engine.stop(running.loaded.config.shutdown_timeout.total_seconds())
    return _FAILED


def _ends(signals: list[int]) -> bool:
    """Whether one of these ends fairlead."""
    return signal.SIGTERM in signals or signal.SIGINT in signals


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


def needs_loop_first(first: LoadedConfig) -> bool:
    """Whether clients must wait for the event loop.

    Checks in Python can't run without it. A policy may be stuck at the very first request, and
    then there would be nobody to hear signals and operators. And where files are few, clients could
    take the last ones before the control plane has the few that it needs.
    """
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    checked = any(pool.check.type == "command" for pool in first.config.pools.values())
    return checked or first.has_python or (hard != resource.RLIM_INFINITY and hard < _FILES_PLENTY)


def raise_file_limit() -> None:
    """Let this process open as many files as it may: each connection is one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def catch_early() -> list[int]:
    """Catch signals before there is a loop to handle them; the list fills as they come."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    for caught in CAUGHT:
        signal.signal(caught, note)
    return came


def bind_control(tell: Callable[[str], None]) -> Listening | None:
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
