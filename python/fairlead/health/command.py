"""``check.type = "command"``: a program says whether a backend is well.

The command runs under ``/bin/sh -c`` in a process group of its own; exit status 0 passes. At the
time-out the whole group is killed, so a check can't leave anything behind by hanging. The
environment says who is meant: ``FAIRLEAD_POOL``, ``FAIRLEAD_BACKEND`` (the address as
configured), ``FAIRLEAD_HOST`` and ``FAIRLEAD_PORT`` (where it is now).

At most 16 commands run at once over all pools. One that waits its turn is late, not failed: its
time-out begins when it starts. The first round starts at once, later ones are spread by a tenth
of the interval, so that a thousand checks don't fall into step.

Not here: what a result does to health (the engine's tracker), other checks (the engine).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

from fairlead.health.report import Report, Result, first_line, report_to

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fairlead.config.loaded import LoadedConfig
    from fairlead.model import Json

_AT_ONCE = 16
_JITTER = 0.1
_OUTPUT_BYTES_MAX = 4096
_READ = 1 << 16
_DOUBT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """One backend and how it is checked.

    Attributes:
        pool: Name of the pool.
        backend: The backend's address as configured.
        name: Where it is now: an IP address, or the path of a Unix socket.
        port: Its port; empty for a Unix socket.
        command: What the shell runs.
        interval_seconds: Between two runs.
        fast_interval_seconds: The same while in doubt.
        timeout_seconds: For one run.
        rise: Passes in a row that end doubt.
    """

    pool: str
    backend: str
    name: str
    port: str
    command: str
    interval_seconds: float
    fast_interval_seconds: float
    timeout_seconds: float
    rise: int


def checks_of(loaded: LoadedConfig, plan: Json) -> list[CommandCheck]:
    """The command checks of a configuration, in its order.

    Args:
        loaded: The configuration: what is run, and when.
        plan: The same as the engine gets it: where each backend is now.
    """
    found = []
    for pool in plan["pools"]:
        check = loaded.config.pools[pool["name"]].check
        if check.type != "command":
            continue
        assert check.command is not None, "a command check without a command is refused"
        for backend in pool["backends"]:
            name, port = _place(backend["endpoints"][0])
            found.append(
                CommandCheck(
                    pool=pool["name"],
                    backend=backend["address"],
                    name=name,
                    port=port,
                    command=check.command,
                    interval_seconds=check.interval.total_seconds(),
                    fast_interval_seconds=check.interval_in_doubt.total_seconds(),
                    timeout_seconds=check.timeout.total_seconds(),
                    rise=check.rise,
                )
            )
    return found


class CommandChecks:
    """Runs the command checks of a running fairlead, each at its interval."""

    def __init__(self, report: Report) -> None:
        """Nothing runs before `update`.

        Args:
            report: Hands results to the engine.
        """
        self._report = report
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._tasks: dict[CommandCheck, asyncio.Task[None]] = {}
        self._first: dict[CommandCheck, asyncio.Event] = {}

    def update(self, checks: Iterable[CommandCheck]) -> None:
        """Run these checks and no others. One that stays goes on undisturbed."""
        wanted = set(checks)
        for gone in self._tasks.keys() - wanted:
            self._tasks.pop(gone).cancel()
            del self._first[gone]
        for new in wanted - self._tasks.keys():
            self._first[new] = asyncio.Event()
            self._tasks[new] = asyncio.ensure_future(self._repeat(new, self._first[new]))

    async def wait_first(self) -> None:
        """Wait until each check ran once."""
        for event in list(self._first.values()):
            await event.wait()

    def stop(self) -> None:
        """Stop all; commands under way are killed."""
        self.update(())

    async def _repeat(self, check: CommandCheck, first: asyncio.Event) -> None:
        doubt = _Doubt(check.rise)
        while True:
            async with self._turn:
                result = await run(check)
            now = asyncio.get_running_loop().time()
            if result is not None:
                report_to(self._report, check.pool, check.backend, result)
                doubt.observe(passed=result.passed, now=now)
            first.set()
            fast = doubt.exists(now)
            interval = check.fast_interval_seconds if fast else check.interval_seconds
            # When, not whether: nothing here has to be unpredictable.
            await asyncio.sleep(interval * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311


class _Doubt:
    """Whether a backend is in doubt: from its first failure until `rise` passes in a row.

    One that has failed for a minute is no longer in doubt: it is down, and asked at leisure.
    """

    def __init__(self, rise: int) -> None:
        self._rise = rise
        self._since: float | None = None
        self._passes = 0

    def observe(self, *, passed: bool, now: float) -> None:
        self._passes = self._passes + 1 if passed else 0
        if self._passes >= self._rise:
            self._since = None
        elif not passed and self._since is None:
            self._since = now

    def exists(self, now: float) -> bool:
        if self._since is None:
            return False
        # A pass after a long time down is news: is it back?
        return self._passes > 0 or now - self._since < _DOUBT_SECONDS


async def run(check: CommandCheck) -> Result | None:
    """Run the command once.

    Returns:
        What it found, or ``None`` where it couldn't be started: that this machine is short of
        processes or files is no evidence against a backend.
    """
    environment = {
        **os.environ,
        "FAIRLEAD_POOL": check.pool,
        "FAIRLEAD_BACKEND": check.backend,
        "FAIRLEAD_HOST": check.name,
        "FAIRLEAD_PORT": check.port,
    }
    try:
        process = subprocess.Popen(  # noqa: ASYNC220, S602  # returns at exec; the command is the operator's
            check.command,
            shell=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except OSError:
        return None
    exited = False
    with _Output(process.stderr) as errors, _Output(process.stdout) as output:
        try:
            exited = await _exits(process.pid, check.timeout_seconds)
        finally:
            # The whole group, also after the shell's own end: nothing may be left behind. The
            # shell isn't reaped before, so its number can't be anybody else's by now.
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            if not exited:
                # In a thread: a process that the kernel can't end now must not hold us up.
                threading.Thread(target=process.wait, name="reap", daemon=True).start()
        if not exited:
            return Result(passed=False, what=f"no exit within {check.timeout_seconds:g} s")
        return _result(process.wait(), first_line(errors.data()) or first_line(output.data()))


async def _exits(pid: int, timeout_seconds: float) -> bool:
    """Wait for a process to exit without reaping it; false if it doesn't in time."""
    loop = asyncio.get_running_loop()
    exited = asyncio.Event()

    def wait() -> None:
        # Gone already (reaped after a time-out), or the loop is: then nobody waits here any more.
        with contextlib.suppress(ChildProcessError, RuntimeError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            loop.call_soon_threadsafe(exited.set)

    threading.Thread(target=wait, name=f"check {pid}", daemon=True).start()
    try:
        async with asyncio.timeout(timeout_seconds):
            await exited.wait()
    except TimeoutError:
        return False
    return True


def _result(status: int, said: str) -> Result:
    if status == 0:
        return Result(passed=True, what="exit status 0")
    what = f"exit status {status}" if status > 0 else f"killed by signal {-status}"
    return Result(passed=False, what=f"{what}: {said}" if said else what)


class _Output:
    """Reads a pipe to its end, or until nobody is interested; keeps the beginning.

    Reading on matters: a command that fills its pipe would stand still until the time-out.
    """

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None, "the process was started with pipes"
        self._pipe = pipe
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        os.set_blocking(self._pipe.fileno(), False)
        self._loop.add_reader(self._pipe.fileno(), self._read)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._pipe.fileno())
        self._pipe.close()

    def data(self) -> bytes:
        """The first 4 KiB of what was printed."""
        self._read()
        return bytes(self._kept)

    def _read(self) -> None:
        try:
            data = os.read(self._pipe.fileno(), _READ)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._pipe.fileno())
        self._kept += data[: _OUTPUT_BYTES_MAX - len(self._kept)]


def _place(endpoint: Json) -> tuple[str, str]:
    """Address and port of a plan's endpoint; a Unix socket has its path and no port.

    >>> _place({"tcp": "[::1]:80"}), _place({"unix": "/run/app"})
    (('::1', '80'), ('/run/app', ''))
    """
    if "unix" in endpoint:
        return endpoint["unix"], ""
    name, _, port = endpoint["tcp"].rpartition(":")
    return name.strip("[]"), port
