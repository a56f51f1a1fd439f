"""The program: what it is called, how fast it starts, and that its instances are like any other."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys

import pytest

from harness.balancer import PROGRAM
from harness.sources import ROOT


def test_a_program_named_balance_is_balance(place, named_backend) -> None:
    link = place.folder / "balance"
    link.symlink_to(PROGRAM)
    for program in (link, PROGRAM.with_name("balance")):
        done = subprocess.run(
            [program, "-c", "show", "1"],
            capture_output=True,
            text=True,
            check=False,
            env=place.environment,
        )
        assert (done.returncode, done.stdout) == (69, "no master process, exiting.\n")
        done = subprocess.run(
            [program], capture_output=True, text=True, check=False, env=place.environment
        )
        assert done.returncode == 64


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """What a command takes of the processors: the least of seven runs."""
    times = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, env=environment, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


@pytest.mark.alone  # CPU time is measured, and two threads of a core share it
def test_commands_start_fast(place, named_backend) -> None:
    """Called from cron and monitoring, often: 23 ms here, of which Python's own start is 10."""
    instance = place.start(named_backend("a"))
    # Not one that was forked with its imports done, as `ask` has it.
    command = [str(PROGRAM), "balance", "-c", "show", *instance.name]
    took = cpu_seconds(command, place.environment)
    bare = cpu_seconds([sys.executable, "-c", "pass"], place.environment)

    assert took <= 4 * bare, (took, bare)


@pytest.mark.parametrize("asked", ["-c show", "-i"])
def test_commands_import_next_to_nothing(place, named_backend, asked) -> None:
    """Each of these takes as long to import as Python takes to start."""
    instance = place.start(named_backend("a"))
    heavy = ("typing", "re", "socket", "enum", "asyncio", "click", "msgspec", "fairlead._engine")
    code = (
        "import sys; from fairlead.cli.drop_in import run; "
        f"code = run([*{asked.split()}, *sys.argv[1:]]); "
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *instance.name],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**place.environment, "PYTHONPATH": str(ROOT / "python")},
    )

    assert (done.returncode, done.stderr) == (0, "[]\n"), done


def test_an_instance_is_a_fairlead_like_any_other(place, named_backend) -> None:
    a = named_backend("a")
    instance = place.start(a, named_backend("b"))

    def fairlead(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words], capture_output=True, text=True, check=False, env=place.environment
        )

    assert fairlead("disable", f"balance/{a.address}").returncode == 0
    assert instance.states() == ["DIS", "ENA"]
    assert fairlead("reload").returncode == 0
    assert fairlead("enable", f"balance/{a.address}").returncode == 0
    assert instance.states() == ["ENA", "ENA"]
    assert f"pid {instance.pid()}" in fairlead("status").stdout


def test_a_configuration_is_nothing_for_an_instance(place, named_backend) -> None:
    instance = place.start(named_backend("a"))
    path = place.folder / "fairlead" / f"{instance.pid()}.sock"
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
        asking.sendall(
            b"POST /v1/pools/balance/backends HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: 26\r\n\r\n"
            b'{"address": "127.0.0.1:1"}'
        )
        answer = b"".join(iter(lambda: asking.recv(4096), b"")).decode()

    assert answer.startswith("HTTP/1.1 4"), answer
    assert "fairlead balance" in answer
    assert instance.ask("version").startswith("  This is balance")
