"""Instances of `fairlead balance`: started as balance is, asked with `-c` and `-i`, ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from harness import nursery, uring
from harness.backend import Backend, free_port
from harness.balancer import wait_for
from harness.line import BrokenOff, Line, dial

COLUMNS = 11


class Row(NamedTuple):
    """A line of `show`."""

    group: int
    type: str
    number: int
    state: str
    address: str
    port: int
    c: int
    totalc: int
    maxc: int
    sent: int
    rcvd: int


class Place:
    """A folder for rendezvous of its own, and whatever runs there."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bal-"))
        self.environment = {**os.environ, "FAIRLEAD_RUNTIME_DIR": str(self.folder)}
        self.inside: tuple[str, ...] = ()
        """What its commands are run by, if anything."""
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(
        self, *words: str, typed: str | None = None, patience: float = 20.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line of balance to its end; a daemon's start has one."""
        if not self.inside:
            return nursery.run(
                "balance",
                *words,
                typed=typed or "",
                patience=patience,
                env=self.environment,
                cwd=self.folder,
                name=self.folder.name,
            )
        return subprocess.run(
            [*self.inside, *uring.program(), "balance", *words],
            input=typed or "",
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
            env=self.environment,
            cwd=self.folder,
        )

    def start(self, *words: Backend | str, bind: str | None = None) -> Instance:
        """An instance in the background on a free port: options first, then channels."""
        instance = Instance(self, bind)
        done = self.run(*instance.words(words))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
        return instance

    def foreground(self, *words: Backend | str, bind: str | None = None) -> Instance:
        """The same with `-f`: its process is there to be looked at."""
        instance = Instance(self, bind)
        process = subprocess.Popen(
            [*uring.program(), "balance", "-f", *instance.words(words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=self.folder,
        )
        self._processes.append(process)
        instance.process = process
        wait_for(lambda: self.run("-c", "version", *instance.name).returncode == 0)
        return instance

    def running(self) -> list[int]:
        """The processes of this place: by what it calls them, or by their environment."""
        mark = f"FAIRLEAD_RUNTIME_DIR={self.folder}".encode()

        def is_ours(entry: Path) -> bool:
            if (entry / "comm").read_text().strip() == self.folder.name:
                return True
            return mark in (entry / "environ").read_bytes().split(b"\0")

        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and is_ours(entry):
                    found.append(int(entry.name))
        return found

    def close(self) -> None:
        """End everything, and look for what must never be on standard error."""
        for pid in self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        said = ""
        for process in self._processes:
            _, errors = process.communicate(timeout=10)
            said += errors.decode(errors="replace")
        shutil.rmtree(self.folder, ignore_errors=True)
        assert "Traceback" not in said, said
        assert "panicked" not in said, said


class Instance:
    """One instance, told by its port and bind address."""

    def __init__(self, place: Place, bind: str | None) -> None:
        self._place = place
        self._bind = bind
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> list[str]:
        """How it is told apart on a command line."""
        return [*(["-b", self._bind] if self._bind else []), str(self.port)]

    def words(self, words: tuple[Backend | str, ...]) -> list[str]:
        """Its command line: the port goes before the first channel."""
        texts = [word.address if isinstance(word, Backend) else word for word in words]
        at = 0
        while at < len(texts) and texts[at].startswith("-"):
            at += 2 if len(texts[at]) == 2 and texts[at][1] in "cbBtTkKm" else 1
        return [*texts[:at], *self.name, *texts[at:]]

    # ---------------------------------------------------------------------------------------- asking

    def ask(self, command: str) -> str:
        """What `-c` prints."""
        done = self._place.run("-c", command, *self.name)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def typed(self, *lines: str) -> str:
        """What `-i` prints for these lines, without the banner."""
        done = self._place.run("-i", *self.name, typed="".join(f"{line}\n" for line in lines))
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.split("\n\n", 1)[1]

    def pid(self) -> int:
        """As the banner of `-i` has it."""
        done = self._place.run("-i", *self.name)
        return int(done.stdout.splitlines()[2].rpartition(" ")[2])

    def show(self) -> list[Row]:
        """The rows of `show`."""
        lines = self.ask("show").splitlines()[1:]
        return [_row(line) for line in lines]

    def row(self, number: int = 0, group: int = 0) -> Row:
        """One of them."""
        return next(row for row in self.show() if (row.group, row.number) == (group, number))

    def states(self) -> list[str]:
        """ENA, dis or DIS of each."""
        return [row.state for row in self.show()]

    # --------------------------------------------------------------------------------------- traffic

    def connect(self, source: str | None = None) -> Line:
        """A client connection."""
        host = self._bind or "127.0.0.1"
        return dial(f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}", source)

    def who(self, source: str | None = None) -> str | None:
        """Which backend (one that says its name in a line) takes a connection; None: nobody."""
        try:
            with self.connect(source) as line:
                return line.read_line().decode()
        except (BrokenOff, OSError):
            return None

    def opened(self, count: int) -> tuple[list[Line], list[str]]:
        """So many connections that stay open, and who took each.

        The name is read before the next is opened: two that are open at once are accepted by two
        workers, in any order.
        """
        lines, names = [], []
        for _ in range(count):
            lines.append(self.connect())
            names.append(lines[-1].read_line().decode())
        return lines, names

    def names(self, count: int) -> list[str | None]:
        """The same, one connection after the other."""
        return [self.who() for _ in range(count)]


def _row(line: str) -> Row:
    words = line.split()
    assert len(words) == COLUMNS, line
    group, kind, number, state, address, *rest = words
    return Row(int(group), kind, int(number), state, address, *map(int, rest))


def named(name: str):
    """A backend that says its name, and then what it is told."""

    def play(line: Line) -> None:
        line.send(f"{name}\r\n".encode())
        while data := line.read_some():
            line.send(data)

    return play


class BlackHole:
    """A port on loopback that swallows connects: its queue is full, so the kernel drops them."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._clients = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(self._listener.getsockname())
            self._clients.append(client)

    def close(self) -> None:
        """Let go of it."""
        for held in (*self._clients, self._listener):
            held.close()
