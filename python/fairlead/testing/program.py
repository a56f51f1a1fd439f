"""Program: a fairlead process for a test, started, watched and ended.

Only what a user could do too: arguments, signals, standard error, the control socket.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_PATIENCE_SECONDS = 10.0
_LISTENING = re.compile(r"fairlead: listening on (\S+) \((.+)\)")


class Program:
    """A running ``fairlead``.

    Example:
        ::

            with FakeBackend() as one, Program("http", "127.0.0.1:0", one.address) as program:
                urllib.request.urlopen(f"http://{program.address}/")
                program.ask("GET", "/v1/status")
                program.reload()
            assert program.exit_code == 0

    Entering waits for ``fairlead: ready``, leaving sends TERM and waits for the end.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Nothing runs before `start` or ``with``.

        Args:
            *arguments: Those of the command line, from the command on.
            environment: Further variables. The control socket is in a directory of its own
                unless ``XDG_RUNTIME_DIR`` is given here.
        """
        self.arguments = arguments
        self.lines: list[str] = []
        self.exit_code: int | None = None
        self._environment = dict(environment or {})
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reading: threading.Thread | None = None
        # Short: a Unix socket's path has room for 107 bytes.
        self._directory = tempfile.TemporaryDirectory(prefix="fairlead-")

    # -- life ------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it and wait until it is ready; `RuntimeError` if it ends instead."""
        environment = {**os.environ, "XDG_RUNTIME_DIR": self._directory.name, **self._environment}
        self._process = subprocess.Popen(  # noqa: S603  # a program of ours
            (sys.executable, "-m", "fairlead", *self.arguments),
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        try:
            self.wait_line("fairlead: ready")
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, timeout_seconds: float = _PATIENCE_SECONDS) -> int:
        """Send TERM, wait for the end; the exit code. Stopping twice is fine."""
        if self.exit_code is None:
            self.signal(signal.SIGTERM)
            self.wait_end(timeout_seconds)
        assert self.exit_code is not None, "it has ended"
        return self.exit_code

    def wait_end(self, timeout_seconds: float = _PATIENCE_SECONDS) -> int:
        """Wait until it ends by itself; the exit code. `TimeoutError`, and dead, if it doesn't."""
        try:
            self.exit_code = self._running().wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"{self} did not end within {timeout_seconds} s") from None
        self._end()
        return self.exit_code

    def kill(self) -> None:
        """End it at once."""
        process = self._running()
        process.kill()
        self.exit_code = process.wait(_PATIENCE_SECONDS)
        self._end()

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

    def __str__(self) -> str:
        return " ".join(("fairlead", *self.arguments))

    # -- what can be done with it ----------------------------------------------------------

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._running().send_signal(number)

    def reload(self) -> None:
        """Send HUP and wait until the reload succeeded or failed."""
        begin = len(self.lines)
        self.signal(signal.SIGHUP)
        self.wait_line(r"fairlead: (reloaded|reload failed)", begin=begin)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask the control socket; status and JSON.

        Args:
            method: For example ``GET``.
            path: For example ``/v1/status``.
            body: Sent as JSON.
        """
        connection = _Local(self.control_socket)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    # -- what it says ----------------------------------------------------------------------

    @property
    def control_socket(self) -> Path:
        """Its control socket."""
        runtime = self._environment.get("XDG_RUNTIME_DIR", self._directory.name)
        return Path(runtime) / "fairlead" / f"{self.pid}.sock"

    @property
    def address(self) -> str:
        """The address of the first listener."""
        return next(iter(self.addresses.values()))

    @property
    def addresses(self) -> dict[str, str]:
        """Listener name and address; of several addresses of one listener, the last."""
        found = (_LISTENING.fullmatch(line) for line in self.lines)
        return {match[2]: match[1] for match in found if match}

    def wait_line(
        self, pattern: str, *, begin: int = 0, timeout_seconds: float = _PATIENCE_SECONDS
    ) -> str:
        """Wait for a line on standard error that matches; the line.

        Args:
            pattern: A regular expression, searched for.
            begin: Only lines from this one on.
            timeout_seconds: How long to wait.

        Raises:
            RuntimeError: It ended without saying so.
            TimeoutError: It did not say so in time.
        """
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while True:
                for line in self.lines[begin:]:
                    if re.search(pattern, line):
                        return line
                said = "\n".join(self.lines)
                if self._reading is not None and not self._reading.is_alive():
                    raise RuntimeError(f"{self} ended and never said {pattern!r}:\n{said}")
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"{self} did not say {pattern!r}:\n{said}")
                self._changed.wait(0.1)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError(f"{self} was not started")
        return self._process

    def _read(self) -> None:
        pipe = self._running().stderr
        assert pipe is not None, "the process was started with pipes"
        for line in pipe:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _end(self) -> None:
        if self._reading is not None:
            self._reading.join(_PATIENCE_SECONDS)
        pipe = self._running().stderr
        assert pipe is not None, "the process was started with pipes"
        pipe.close()
        self._directory.cleanup()


class _Local(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE_SECONDS)
        self.sock.connect(os.fspath(self._path))
