"""``check.type = "command"``: a program says whether a backend is well.

The command runs under ``/bin/sh -c`` in a process group of its own; exit status 0 passes. At the
time-out the whole group is killed, so a check can't leave anything behind by hanging. The
environment says who is meant: ``FAIRLEAD_POOL``, ``FAIRLEAD_BACKEND`` (the address as
configured), ``FAIRLEAD_HOST`` and ``FAIRLEAD_PORT`` (where it is now).

Not here: when it runs (`repeat`), what a result does to health (the engine's tracker).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

from fairlead.health.check import Check, places
from fairlead.health.report import Result, first_line

if TYPE_CHECKING:
    from fairlead.config.loaded import LoadedConfig
    from fairlead.model import Json

_OUTPUT_BYTES_MAX = 4096
_READ = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCheck(Check):
    """One backend that a command checks.

    Attributes:
        command: What the shell runs.
        codes: Exit statuses that pass. Where they are given, an end by a signal is no verdict.
    """

    command: str
    codes: tuple[int, ...] | None = None

    async def run(self) -> Result | None:
        """Run it once."""
        return await run(self)


def checks_of(loaded: LoadedConfig, plan: Json) -> list[CommandCheck]:
    """The command checks of a configuration, in its order.

    Args:
        loaded: The configuration: what is run, and when.
        plan: The same as the engine gets it: where each backend is now.
    """
    found = []
    for place in places(loaded, plan, "command"):
        command = loaded.config.pools[place["pool"]].check.command
        assert command is not None, "a command check without a command is refused"
        found.append(CommandCheck(**place, command=command))
    return found


async def run(check: CommandCheck) -> Result | None:
    """Run the command once.

    Returns:
        What it found, or ``None`` where it couldn't be started (that this machine is short of
        processes or files is no evidence against a backend) or was ended by somebody else.
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
        said = first_line(errors.data()) or first_line(output.data())
        return _result(process.wait(), said, check.codes)


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


def _result(status: int, said: str, codes: tuple[int, ...] | None) -> Result | None:
    if status in (codes or (0,)):
        return Result(passed=True, what=f"exit status {status}")
    if status < 0 and codes is not None:
        return None
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
