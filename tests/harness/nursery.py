"""fairlead processes that begin with their imports done: forked by one that does nothing else.

An interpreter and a hundred modules take 0.2 s of a processor, which is more than most tests take
for everything else, and a run of the suite starts fairlead more than a thousand times. What is
forked here runs the same `main` in a process of its own: its words, environment, folder,
descriptors, signals and exit code are its own. What it can't show is what comes before: how long a
start takes, what is imported for it, its words in ``/proc``. For those, start the program itself.

Run as a program of its own (``python nursery.py NUMBER``), it is the one that forks. It takes
orders from the socket with this number and ends with it, and so do its children.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import resource
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # A program of its own, it has no package.
    sys.path[0] = str(Path(__file__).parent.parent)

from harness import uring
from harness.uring import PROGRAM

ORDER = 1 << 17
"""Bytes of an order: words and environment."""
PIPE = 4096
"""What a pipe surely holds."""
PARTS = ("cli", "compat", "config", "control", "discovery", "health", "policy")
"""What a balancer may import; the demonstration and the test kit are not among it."""


class Child:
    """A fairlead process. As `subprocess.Popen`, as far as it goes."""

    def __init__(
        self,
        words: tuple[str, ...],
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        typed: bytes | None = None,
        files_max: int | None = None,
        name: str = "",
    ) -> None:
        # `name`: what it and its children are called in ``/proc/…/comm``, at most 15 bytes.
        order = {
            "words": words,
            "env": dict(os.environ) if env is None else env,
            "cwd": os.fspath(cwd or Path.cwd()),
            "files_max": files_max,
            "name": name,
        }
        stdin = _typed(typed)
        out, stdout = os.pipe()
        err, stderr = os.pipe()
        self._end, end = os.pipe()
        theirs = [stdin, stdout, stderr, end]
        self.returncode: int | None = None
        try:
            self.pid = _nursery().ask(json.dumps(order).encode(), theirs)
        finally:
            for number in theirs:
                os.close(number)
        self.stdin = None
        self.stdout = os.fdopen(out, "rb")
        self.stderr = os.fdopen(err, "rb")

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("fairlead", timeout or 0)
        return code

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._end, selectors.EVENT_READ)
                if selector.select(timeout):
                    said = os.read(self._end, 16)
                    os.close(self._end)
                    assert said, "the process that forks has ended"
                    self.returncode = int(said)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """What it writes until nobody holds its outputs any more; then it has to end."""
        end = time.monotonic() + (timeout or 600)
        said: dict[Any, bytes] = {self.stdout: b"", self.stderr: b""}
        with selectors.DefaultSelector() as selector, self.stdout, self.stderr:
            for stream in said:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready:
                    raise subprocess.TimeoutExpired("fairlead", timeout or 0)
                for key, _ in ready:
                    data = os.read(key.fd, 1 << 16)
                    said[key.fileobj] += data
                    if not data:
                        selector.unregister(key.fileobj)
        self.wait(max(0.0, end - time.monotonic()))
        return said[self.stdout], said[self.stderr]


def run(
    *words: str,
    patience: float = 20.0,
    typed: str | None = None,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    name: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a fairlead command to its end."""
    told = None if typed is None else typed.encode()
    child = Child(words, env=env, cwd=cwd, typed=told, name=name)
    try:
        out, err = child.communicate(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        raise
    return subprocess.CompletedProcess(
        [str(PROGRAM), *words], child.returncode or 0, out.decode(), err.decode()
    )


def _typed(text: bytes | None) -> int:
    """The reading end of what is typed; nothing at all for ``None``."""
    if text is None:
        return os.open(os.devnull, os.O_RDONLY)
    assert len(text) <= PIPE, "more than a pipe surely holds"
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    return reading


class _Nursery:
    """The process that forks, as its user sees it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__)), str(number)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[number],
            )

    def ask(self, order: bytes, descriptors: list[int]) -> int:
        """Have a process made; its number."""
        with self._lock:
            socket.send_fds(self._channel, [order], descriptors)
            pid = self._channel.recv(16)
        assert pid, "the process that forks has ended"
        return int(pid)

    def close(self) -> None:
        """Let it end."""
        self._channel.close()
        self._process.wait(10)


@functools.cache
def _nursery() -> _Nursery:
    made = _Nursery()
    atexit.register(made.close)
    return made


# ------------------------------------------------------------------- in the process that forks


class _Mother:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, int] = {}
        self._woken, self._waking = socket.socketpair()
        self._waking.setblocking(False)
        signal.set_wakeup_fd(self._waking.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Ctrl-C is for whoever runs the tests.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> dict[str, Any] | None:
        """Fork as told until the channel ends: ``None``; in each child: its order."""
        self._selector.register(self._channel, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                    self._bury()
                    continue
                text, descriptors, _, _ = socket.recv_fds(self._channel, ORDER, 4)
                if not text:
                    return self._end()
                pid = os.fork()
                if not pid:
                    self._leave()
                    return _settle(json.loads(text), descriptors[:3])
                self._children[pid] = descriptors.pop()
                for number in descriptors:
                    os.close(number)
                self._channel.send(str(pid).encode())

    def _bury(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                end = self._children.pop(found[0])
                with contextlib.suppress(BrokenPipeError):
                    os.write(end, str(os.waitstatus_to_exitcode(found[1])).encode())
                os.close(end)

    def _leave(self) -> None:
        """In a child: let go of the mother's, each by its object, or its number is closed later."""
        signal.set_wakeup_fd(-1)
        for mine in (self._selector, self._channel, self._woken, self._waking):
            mine.close()

    def _end(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)


def _settle(order: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    """Make the process what a shell would have made it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    # What it got its own by, and what the mother's other children are told apart by.
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if order["name"]:
        Path("/proc/self/comm").write_text(order["name"])
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    if order["files_max"] is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order["files_max"],) * 2)
    return order


def _learn() -> None:
    for part in PARTS:
        package = importlib.import_module(f"fairlead.{part}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(found.name)
    assert threading.active_count() == len(os.listdir("/proc/self/task")) == 1
    # Whatever is there stays, and isn't looked through in each child again.
    gc.freeze()


def main() -> int:
    """Fork; and in each child, be fairlead."""
    _learn()
    order = _Mother(socket.socket(fileno=int(sys.argv[1]))).serve()
    if order is None:
        return 0
    sys.argv = [str(PROGRAM), *order["words"]]
    if uring.is_wanted():
        uring.put_in()
    from fairlead.cli.main import main as fairlead

    return fairlead()


if __name__ == "__main__":
    sys.exit(main())
