"""Command checks: what passes, what is told, and that nothing is left behind."""

import asyncio
import dataclasses
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from fairlead.config.loaded import LoadedConfig
from fairlead.config.parse import Parsed
from fairlead.config.resolve import Answer
from fairlead.config.schema import Backend, Check, Config, Listener, Pool
from fairlead.health import command as module
from fairlead.health.command import CommandCheck, checks_of, run
from fairlead.health.report import Result

CHECK = CommandCheck(
    pool="app",
    backend="db:5432",
    name="10.0.0.1",
    port="5432",
    command="exit 0",
    interval_seconds=0.02,
    fast_interval_seconds=0.01,
    timeout_seconds=5,
    rise=2,
)


def once(command, **more):
    return asyncio.run(run(dataclasses.replace(CHECK, command=command, **more)))


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "Z"


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_exit_status_0_passes():
    assert once("echo fine") == Result(passed=True, what="exit status 0")


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("exit 3", "exit status 3"),
        ("echo out; exit 2", "exit status 2: out"),
        ("echo out; echo '  err' >&2; exit 2", "exit status 2: err"),
        ("kill -9 $$", "killed by signal 9"),
        ("/no/such/program 2>/dev/null", "exit status 127"),
    ],
)
def test_all_else_fails_and_says_why(command, what):
    assert once(command) == Result(passed=False, what=what)


def test_the_environment_says_who_is_meant():
    said = once('echo "$FAIRLEAD_POOL $FAIRLEAD_BACKEND $FAIRLEAD_HOST $FAIRLEAD_PORT"; exit 1')
    assert said.what == "exit status 1: app db:5432 10.0.0.1 5432"


def test_at_the_time_out_the_whole_group_is_killed(tmp_path):
    began = time.monotonic()
    # Time enough for a shell to begin on a busy machine.
    result = once(f"sleep 60 & echo $! > {tmp_path}/pid; wait", timeout_seconds=1)
    assert result == Result(passed=False, what="no exit within 1 s")
    assert time.monotonic() - began < 10
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: gone(pid))


def test_what_a_command_leaves_running_is_killed_and_not_waited_for(tmp_path):
    began = time.monotonic()
    assert once(f"sleep 60 & echo $! > {tmp_path}/pid; exit 0").passed
    assert time.monotonic() - began < 2
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: gone(pid))


def test_a_chatty_command_does_not_fill_anything():
    assert once("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2").passed


def test_no_descriptor_is_left_open():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        once("exit 1")
        once("sleep 9", timeout_seconds=0.01)
    assert len(os.listdir("/proc/self/fd")) == before


def test_being_short_of_processes_is_no_evidence(monkeypatch):
    def refuse(*_, **__):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(module.subprocess, "Popen", refuse)
    assert once("exit 0") is None


def test_the_checks_of_a_configuration():
    config = Config(
        listeners={"web": Listener(bind=(":80",), pool="app")},
        pools={
            "app": Pool(
                backends=(Backend("10.0.0.1:80"), Backend("unix:/run/app")),
                check=Check(type="command", command="true", interval=timedelta(seconds=4), rise=3),
            ),
            "other": Pool(backends=(Backend("10.0.0.2:80"),)),
        },
    )
    loaded = LoadedConfig(Parsed(config, {}), "x", lambda _: Answer(()), {})
    plan = __import__("json").loads(loaded.plan)
    first, second = checks_of(loaded, plan)
    assert (first.name, first.port, first.interval_seconds) == ("10.0.0.1", "80", 4.0)
    assert (first.fast_interval_seconds, first.rise) == (0.5, 3)
    assert (second.backend, second.name, second.port) == ("unix:/run/app", "/run/app", "")
