"""A fairlead process: started, awaited, asked, stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import uring
from harness.backend import free_port
from harness.line import Line, dial
from harness.nursery import PROGRAM, Child, run

__all__ = ["PROGRAM", "Balancer", "loopback", "run", "wait_for"]

START = 15.0
"""Seconds until ``ready``. It takes 0.04; a machine that compiles beside it takes its time."""


class Balancer:
    """One running fairlead. Made by the `fairlead` fixture, which also ends it."""

    def __init__(
        self,
        *arguments: str,
        config: str | None = None,
        files_max: int | None = None,
        inside: list[str] | None = None,
        environment: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
        descriptors: tuple[int, ...] = (),
        ready: bool = True,
        fresh: bool = False,
    ) -> None:
        # `fresh`: with an interpreter of its own, as a shell starts it (`nursery` says when).
        # Short, because a Unix socket's path may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="fairlead-"))
        self.config = self.folder / "fairlead.toml"
        for name, text in (files or {}).items():
            (self.folder / name).write_text(text)
        if config is not None:
            self.config.write_text(config)
            arguments = ("run", str(self.config), *arguments)
        self.listen = next((word for word in arguments if _is_listen(word)), "")
        self.output: list[str] = []
        """The lines of standard error."""
        self._news = threading.Condition()
        self._ended = False
        self.runtime = self.folder / "run"
        self.runtime.mkdir(mode=0o700)
        env = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self.runtime),
            "NO_COLOR": "1",
            **(environment or {}),
        }
        self.process: subprocess.Popen[bytes] | Child
        if fresh or inside or descriptors:
            assert files_max is None, "only of what is forked"
            self.process = subprocess.Popen(
                [*(inside or []), *uring.program(), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.folder,
                env=env,
                pass_fds=descriptors,
            )
        else:
            self.process = Child(arguments, env=env, cwd=self.folder, files_max=files_max)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if ready:
            self.wait_ready()

    # --------------------------------------------------------------------------------- what it says

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.output.append(line.decode(errors="replace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for_output(self, text: str, patience: float = START, since: int = 0) -> str:
        """The first line of standard error that contains ``text``."""

        def found() -> str | None:
            return next((line for line in self.output[since:] if text in line), None)

        with self._news:
            self._news.wait_for(lambda: found() is not None or self._ended, patience)
            line = found()
            assert line is not None, f"no {text!r} on standard error:\n" + "\n".join(self.output)
            return line

    def wait_ready(self) -> None:
        """Until all listeners accept."""
        self.wait_for_output("fairlead: ready")

    # ------------------------------------------------------------------------------- asking, telling

    def connect(self, address: str | None = None) -> Line:
        """A new client connection."""
        return dial(address or _dialled(self.listen))

    @property
    def control(self) -> Path:
        """Its control socket."""
        return self.runtime / "fairlead" / f"{self.process.pid}.sock"

    def dial_control(self) -> http.client.HTTPConnection:
        """A new connection to its control socket."""
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        connection.sock.connect(str(self.control))
        return connection

    def api(
        self, method: str, path: str, body: object = None, *, stuck: bool = False
    ) -> tuple[int, Any]:
        """A call on the local control socket: status and JSON.

        Where Python is late for a second, on a busy machine, it is asked again until it is there;
        `stuck` wants to see that it is refused meanwhile.
        """
        status, text = self.text(path, method, body, stuck=stuck)
        return status, json.loads(text) if text else None

    def text(
        self, path: str, method: str = "GET", body: object = None, *, stuck: bool = False
    ) -> tuple[int, str]:
        """The same, as text."""

        def answered() -> tuple[int, str] | None:
            status, text = self._ask(path, method, body)
            refused = status == 503 and '"python_stuck"' in text
            return None if refused and not stuck else (status, text)

        return wait_for(answered)

    def _ask(self, path: str, method: str, body: object) -> tuple[int, str]:
        with contextlib.closing(self.dial_control()) as connection:
            data = None if body is None else json.dumps(body)
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def status(self) -> dict[str, Any]:
        """What ``fairlead status --json`` is made of."""
        code, answer = self.api("GET", "/v1/status")
        assert code == 200, answer
        return dict(answer)

    def backends(self, pool: str | None = None) -> dict[str, dict[str, Any]]:
        """The backends of a pool (of the only one), by address."""
        pools = self.status()["pools"]
        chosen = [entry for entry in pools if pool in (None, entry["name"])]
        assert len(chosen) == 1, [entry["name"] for entry in pools]
        return {entry["address"]: entry for entry in chosen[0]["backends"]}

    def listener(self, name: str | None = None) -> dict[str, Any]:
        """The counters of a listener (of the only one)."""
        listeners = self.status()["listeners"]
        chosen = [entry for entry in listeners if name in (None, entry["name"])]
        assert len(chosen) == 1, [entry["name"] for entry in listeners]
        return dict(chosen[0])

    def events(self) -> list[dict[str, Any]]:
        """The recent events."""
        code, answer = self.api("GET", "/v1/events?follow=0")
        assert code == 200, answer
        return list(answer["events"] if isinstance(answer, dict) else answer)

    def wait_for_health(self, address: str, *wanted: str, patience: float = 10.0) -> dict[str, Any]:
        """Until the backend's health is one of these."""
        return wait_for(
            lambda: (row := self.backends()[address])["health"] in wanted and row,
            patience,
            lambda: f"{address} is {self.backends()[address]}, wanted {wanted}",
        )

    def wait_all_healthy(self, patience: float = 10.0) -> None:
        """Until every backend of every pool is."""

        def rows() -> list[dict[str, Any]]:
            return [row for pool in self.status()["pools"] for row in pool["backends"]]

        wait_for(
            lambda: all(row["health"] == "healthy" for row in rows()), patience, lambda: f"{rows()}"
        )

    def wait_for_reason(self, code: str, count: int = 1) -> None:
        """Until the only listener has counted so many of this reason."""
        wait_for(
            lambda: self.listener()["reasons"].get(code) == count,
            otherwise=lambda: f"wanted {count} {code}, found {self.listener()['reasons']}",
        )

    def reload(self, config: str | None = None) -> tuple[int, Any]:
        """Write a new configuration (if given) and have it loaded: status and JSON."""
        if config is not None:
            self.config.write_text(config)
        return self.api("POST", "/v1/reload")

    def resident_bytes(self) -> int:
        """Resident memory now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def cpu_seconds(self) -> float:
        """CPU time used so far, all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def waited_seconds(self) -> float:
        """How long its main thread was ready to run and others had the processors."""
        fields = Path(f"/proc/{self.process.pid}/schedstat").read_text().split()
        return int(fields[1]) / 1e9

    def open_files(self) -> int:
        """Descriptors open now."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    # ---------------------------------------------------------------------------------------- ending

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, patience: float = 10.0) -> int:
        """The exit code, once it has ended."""
        code = self.process.wait(patience)
        self._reader.join(5)
        return code

    def stop(self, patience: float = 10.0) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(patience)

    def close(self) -> None:
        """End it, whatever it does, and look for what must never be on standard error."""
        try:
            if self.process.poll() is None:
                self.process.kill()
            self.wait()
            said = "\n".join(self.output)
            assert "Traceback" not in said, said
            assert "panicked" not in said, said
        finally:
            if self.process.stdout:
                self.process.stdout.close()
            if self.process.stderr:
                self.process.stderr.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def _is_listen(word: str) -> bool:
    host, _, port = word.rpartition(":")
    return word.startswith("unix:") or (bool(host) and port.isdigit())


def _dialled(listen: str) -> str:
    return listen if listen.startswith("unix:") else listen.replace("0.0.0.0:", "127.0.0.1:")


def loopback() -> str:
    """An address to listen on."""
    return f"127.0.0.1:{free_port()}"


def wait_for(
    claim: Callable[[], Any], patience: float = 10.0, otherwise: Callable[[], str] | None = None
) -> Any:
    """Ask until the answer is true; the answer."""
    end = time.monotonic() + patience
    while True:
        if answer := claim():
            return answer
        if time.monotonic() > end:
            raise AssertionError(otherwise() if otherwise else f"not so after {patience} s")
        time.sleep(0.02)
