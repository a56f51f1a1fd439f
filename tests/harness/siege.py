"""Clients that hold what they can: heads and bodies that drip, answers that are hardly read.

Run as a program of its own, so that whoever measures beside it keeps an interpreter to itself::

    python siege.py head|body|reader HOST:PORT COUNT

It keeps COUNT connections, opening one anew for each that ends, says ``{"ready": true}`` once all
are there, answers each line of standard input with what it has seen so far (as JSON), and ends with
standard input.
"""

from __future__ import annotations

import contextlib
import errno
import json
import resource
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

BEGIN = {
    "head": b"GET / HTTP/1.1\r\nHost: app\r\nX-Drip: ",
    "body": b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 1000000\r\n\r\n",
    "reader": b"GET /big HTTP/1.1\r\nHost: app\r\n\r\n",
}
EVERY = 2.0
"""Seconds between two bytes of one connection."""
READS = 2048
"""Bytes that a reader takes each time: a kilobyte per second."""
BUFFER = 16 * 1024
"""What a reader's kernel takes for it."""


class _Siege:
    def __init__(self, kind: str, address: str, count: int) -> None:
        host, _, port = address.rpartition(":")
        self._kind, self._to, self._count = kind, (host, int(port)), count
        self._open: dict[socket.socket, float] = {}
        self._selector = selectors.DefaultSelector()
        self._said = False
        self.seen: dict[str, int] = {"opened": 0, "refused": 0, "ended": 0, "answered": 0}

    def run(self) -> None:
        """Until standard input ends."""
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            self._refill()
            for key, _ in self._selector.select(0.02):
                if key.fileobj is sys.stdin:
                    if not sys.stdin.readline():
                        return
                    print(json.dumps({**self.seen, "open": len(self._open)}), flush=True)
                elif isinstance(key.fileobj, socket.socket):
                    self._heard(key.fileobj)
            self._drip()

    def _refill(self) -> None:
        # In small bursts: a listening queue holds some thousand.
        for _ in range(min(100, self._count - len(self._open))):
            sock = socket.socket()
            if self._kind == "reader":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            try:
                sock.connect(self._to)
                sock.setblocking(False)
                sock.send(BEGIN[self._kind])
            except OSError as error:
                sock.close()
                self.seen["refused"] += 1
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise
                return
            self._open[sock] = time.monotonic() + EVERY * (len(self._open) % 97) / 97
            self.seen["opened"] += 1
            if self._kind != "reader":
                self._selector.register(sock, selectors.EVENT_READ)
        if not self._said and len(self._open) >= self._count:
            self._said = True
            print(json.dumps({"ready": True}), flush=True)

    def _heard(self, sock: socket.socket) -> None:
        """Whoever drips hears only that it has been enough."""
        with contextlib.suppress(OSError):
            if sock.recv(4096).startswith(b"HTTP/1.1 "):
                self.seen["answered"] += 1
        self._end(sock)

    def _end(self, sock: socket.socket) -> None:
        if self._kind != "reader":
            self._selector.unregister(sock)
        del self._open[sock]
        sock.close()
        self.seen["ended"] += 1

    def _drip(self) -> None:
        now = time.monotonic()
        for sock in [sock for sock, due in self._open.items() if due <= now]:
            self._open[sock] = now + EVERY
            try:
                if self._kind != "reader":
                    sock.send(b"x")
                elif not sock.recv(READS):
                    self._end(sock)
            except BlockingIOError:
                continue
            except OSError:
                self._end(sock)


class Siege:
    """Such clients, in a process of their own."""

    def __init__(self, kind: str, address: str, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), kind, address, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the siege ended: {self._process.wait(5)}"
        return dict(json.loads(line))

    def wait_ready(self) -> Self:
        """Until all its connections are there."""
        assert self._line() == {"ready": True}
        return self

    def seen(self) -> dict[str, Any]:
        """Connections ``opened``, ``refused``, ``ended``, ``answered`` so far, and ``open`` now."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


def main() -> None:
    """What the words of the command line say."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kind, address, count = sys.argv[1:]
    _Siege(kind, address, int(count)).run()


if __name__ == "__main__":
    main()
