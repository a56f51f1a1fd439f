"""A conversation with `balance -i`, and the same one with any program of that command line.

Three echoes stand behind an instance (two in group 0, one in group 1), three clients have said
`hello` through it, and then commands are typed into its shell. Ports and process ids are told by
their role, so that two runs can be compared as texts. Used by a test, against a recorded
transcript, and by `tools/compare_balance.py`, against the original itself.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.backend import Backend, echo, free_port
from harness.balancer import wait_for
from harness.line import dial

COMMANDS = (
    "show",
    *(
        "disable 0",
        "disable 0",
        "show",
        "enable 0",
        "enable 0",
        "disable 2",
        "enable -1",
        "disable",
    ),
    *("maxc 0 5", "maxc 2 1", "maxc 0", "maxc 0 0"),
    *("mrtg-bytes 0 0", "mrtg-conns 0 0", "mrtg-bytes 16 0", "mrtg-conns -1 0", "mrtg-bytes 0"),
    *("group 16", "group", "group 1", "disable 0", "hash", "rr", "enable 0", "group 0"),
    *("reset 0", "reset 2", "reset"),
    *("create 127.0.0.1 PORT2", "create 127.0.0.1", "show", "enable 2"),
    *("assign 2 127.0.0.1 PORT0", "disable 2", "assign 2 127.0.0.1 PORT0", "assign 9 127.0.0.1 80"),
    *("assign 2 127.0.0.1", "assign 9", "assign 0", "assign", "show"),
    *("version", "help", "?", "nonsense", "showx", "", "   "),
    *("s", "h", "ha", "rr", "r 0", "d 0", "e 0", "g 1", "mr 0 1", "v", "q"),
)


def play(program: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """Hold the conversation with this program; what its shell printed."""
    backends = [Backend(echo) for _ in range(3)]
    ports = [backend.address.rpartition(":")[2] for backend in backends]
    port = str(free_port())
    more = {"env": {**os.environ, **(environment or {})}}
    where = [f"127.0.0.1:{each}" for each in ports]
    words = [*program, "-b", "127.0.0.1", "-f", port, *where[:2], "!", where[2]]
    serving = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **more,
    )
    try:
        _wait_until_it_listens(int(port))
        for _ in range(3):
            with dial(f"127.0.0.1:{port}") as line:
                line.send(b"hello\n")
                assert line.read(6) == b"hello\n"
        ask = [*program, "-b", "127.0.0.1", "-c", "show", port]
        wait_for(lambda: _is_idle(ask, more))
        typed = "".join(f"{line}\n" for line in COMMANDS)
        for role, number in enumerate(ports):
            typed = typed.replace(f"PORT{role}", number)
        said = _said([*program, "-b", "127.0.0.1", "-i", port], typed, more)
    finally:
        serving.terminate()
        serving.wait(30)
        for backend in backends:
            backend.close()
    for role, number in enumerate(ports):
        said = said.replace(number, f"PORT{role}")
    return re.sub(r"(PID of master process is) \d+", r"\1 PID", said)


def _said(words: list[str], typed: str, more: dict[str, dict[str, str]]) -> str:
    done = subprocess.run(
        words, input=typed, capture_output=True, text=True, check=False, timeout=20, **more
    )
    assert done.returncode == 0, done
    return done.stdout


def _is_idle(ask: list[str], more: dict[str, dict[str, str]]) -> bool:
    rows = [line.split() for line in _said(ask, "", more).splitlines()[1:]]
    return all(row[6] == "0" for row in rows)


def _wait_until_it_listens(port: int) -> None:
    # Asked of the kernel: whoever connected to find out would be counted.
    listening = f":{port:04X} 00000000:0000 0A"
    wait_for(lambda: listening in Path("/proc/net/tcp").read_text())
