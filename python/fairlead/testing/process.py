"""BackendProcess: a fake backend in a process of its own, which can be frozen and killed.

What `FakeBackend` plays from inside happens here for real: ``freeze`` is SIGSTOP, ``kill`` is
SIGKILL. The port stays ours meanwhile, so a killed one can come back at the same address.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any, Self

from fairlead.testing.door import Door

if TYPE_CHECKING:
    from types import TracebackType

_PATIENCE_SECONDS = 10.0


class BackendProcess:
    """A `FakeBackend` that is a process.

    Example:
        ::

            with BackendProcess("one") as one:
                one.call("slow", seconds=0.3)   # any behaviour of FakeBackend, by name
                one.freeze()                    # SIGSTOP
                one.thaw()
                one.kill()                      # SIGKILL: connects are refused
                one.restart()                   # back, at the same address
    """

    def __init__(self, name: str, *, listen: str = "127.0.0.1:0") -> None:
        """Take an address; `start` or ``with`` starts the process.

        Args:
            name: In the ``X-Backend`` header and in the usual body.
            listen: Where; see `FakeBackend`.
        """
        self.name = name
        # Bound for as long as this object lives, never listening: see `Door`.
        self._door = Door(listen)
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """Where it is, as a configuration writes it."""
        return self._door.address

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._running().pid

    def launch(self) -> None:
        """Start the process without waiting for it; `wait_ready` does."""
        program = (sys.executable, "-m", "fairlead.testing.child", self.name, self.address)
        self._process = subprocess.Popen(  # noqa: S603  # a program of ours
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait_ready(self) -> Self:
        """Wait until it listens."""
        self._read()
        return self

    def start(self) -> Self:
        """Start the process and wait until it listens."""
        self.launch()
        return self.wait_ready()

    restart = start

    def call(self, name: str, **arguments: Any) -> None:
        """Make it behave: any behaviour of `FakeBackend` by name, such as ``slow``.

        Args:
            name: The method.
            **arguments: Its arguments; what JSON can carry.

        Raises:
            ValueError: There is no such call, or it refused its arguments.
        """
        self.thaw()
        process = self._running()
        orders = _pipe(process.stdin)
        orders.write(json.dumps({"call": name, **arguments}) + "\n")
        orders.flush()
        answer = self._read()
        if "error" in answer:
            raise ValueError(f"{self.name}: {answer['error']}")

    def freeze(self) -> None:
        """Stop the process where it is (SIGSTOP), and wait until it stands still."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once (SIGKILL). Connects are refused until `restart`."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait(_PATIENCE_SECONDS)
        _pipe(process.stdin).close()
        _pipe(process.stdout).close()

    def stop(self) -> None:
        """End the process and give the address back. Stopping twice is fine."""
        self.kill()
        self._door.close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process

    def _read(self) -> dict[str, Any]:
        line = _pipe(self._running().stdout).readline()
        if not line:
            raise RuntimeError(f"{self.name} ended by itself")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None, "the process was started with pipes"
    return pipe
