"""The machines that the pages speak of: one for fairlead, one for all backends.

Two network namespaces, joined by a pair of interfaces and to nothing else: every port is free
there, and every name that a page has leads to the backends' machine. Commands run as a page prints
them.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.backend import Backend, saying
from harness.lab import _run
from harness.line import Line

_COUNT = itertools.count()
_NEAR, _FAR = "10.99.0.1", "10.99.0.2"
_NEWNET = 0x40000000

NAMES = ("app1", "app2", "app3", "backup", "db1", "db2", "spare", "mailhost1", "mailhost2")
HTTP_PORTS = (8000,)
TCP_PORTS = (25, 2525, 5432)
LOCAL_PORTS = (3031, 3032, 3033)


def greet(line: Line) -> None:
    """Says a line to whoever connects."""
    line.send(b"220 hello\r\n")
    line.read_to_end()


class Town:
    """The two machines, and what runs on them."""

    def __init__(self, folder: Path) -> None:
        number = f"{os.getpid()}t{next(_COUNT)}"
        self._spaces = (f"fl{number}a", f"fl{number}b")
        self._etc = Path(f"/etc/netns/{self._spaces[0]}")
        self.folder = folder
        # Not in there: a Unix socket's path may have 107 bytes.
        self.runtime = Path(tempfile.mkdtemp(prefix="fl-"))
        self._backends: list[Backend] = []
        self._servings: list[Serving] = []
        self.serving: Serving | None = None
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        near, far = self._spaces
        for space in self._spaces:
            _run("ip", "netns", "add", space)
            _run("ip", "-n", space, "link", "set", "lo", "up")
        link = ("ip", "-n", near, "link", "add", "eth0", "type", "veth")
        _run(*link, "peer", "name", "eth0", "netns", far)
        for space, address in zip(self._spaces, (_NEAR, _FAR), strict=True):
            _run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            _run("ip", "-n", space, "link", "set", "eth0", "up")
        self._etc.mkdir(parents=True)
        names = f"127.0.0.1 localhost\n{_FAR} {' '.join(NAMES)}\n"
        (self._etc / "hosts").write_text(names)
        for port in HTTP_PORTS:
            self._serve(far, (_FAR, port), saying("hello"))
        for port in TCP_PORTS:
            self._serve(far, (_FAR, port), greet)
        for port in LOCAL_PORTS:
            self._serve(near, ("127.0.0.1", port), saying("hello"))

    def _serve(self, space: str, place: tuple[str, int], play: Callable[[Line], None]) -> None:
        listener = self.there(space, lambda: socket.create_server(place, backlog=128))
        self._backends.append(Backend(play, listener))

    @staticmethod
    def there(space: str, call: Callable[[], socket.socket]) -> socket.socket:
        """Make a socket on one of the machines: it belongs there for good."""

        def make() -> socket.socket:
            libc = ctypes.CDLL(None, use_errno=True)
            with Path(f"/run/netns/{space}").open() as entrance:
                if libc.setns(entrance.fileno(), _NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            return call()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(make).result()

    def dial(self, port: int) -> Line:
        """A client on fairlead's machine."""
        place = ("127.0.0.1", port)
        return Line(self.there(self._spaces[0], lambda: socket.create_connection(place, 5)), 5)

    # ------------------------------------------------------------------------------------ commands

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        pid = str(self.serving.process.pid) if self.serving else ""
        given = {"XDG_RUNTIME_DIR": str(self.runtime), "PATH": path, "PID": pid, "NO_COLOR": "1"}
        return {**os.environ, **given}

    def _words(self, line: str) -> list[str]:
        return ["ip", "netns", "exec", self._spaces[0], "/bin/sh", "-ec", line]

    def run(self, line: str, seconds: float = 20.0) -> subprocess.CompletedProcess[str]:
        """Run a line of a shell to its end."""
        return subprocess.run(
            self._words(line),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            cwd=self.folder,
            env=self._environment(),
        )

    def start(self, line: str) -> Serving:
        """Begin a line whose last command goes on until it is ended, in the place of the last."""
        if self.serving is not None:
            self.serving.end()
        self.serving = self._begin(line)
        return self.serving

    def leave_running(self, line: str) -> None:
        """Begin a line that nobody waits for."""
        self._begin(line.removesuffix("&"))

    def _begin(self, line: str) -> Serving:
        process = subprocess.Popen(
            self._words(f"exec {line}"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self._environment(),
        )
        serving = Serving(process)
        self._servings.append(serving)
        return serving

    def _pids(self) -> Iterator[int]:
        done = _run("ip", "netns", "pids", self._spaces[0], check=False)
        return map(int, done.stdout.split())

    def close(self) -> None:
        """End everything."""
        for backend in self._backends:
            backend.close()
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for serving in self._servings:
            serving.close()
        for space in self._spaces:
            _run("ip", "netns", "del", space, check=False)
        for made in (self._etc, self.runtime):
            shutil.rmtree(made, ignore_errors=True)


class Serving:
    """A command that serves until it is ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line == "fairlead: ready\n":
                self._ready.set()
        self._ready.set()

    def wait_ready(self) -> None:
        """Until it lets clients in."""
        assert self._ready.wait(15), self.said
        assert "fairlead: ready\n" in self.said, self.said

    def close(self) -> None:
        """Wait for its end, whatever ended it."""
        self.process.wait(10)
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def end(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(10) == 0, self.said
