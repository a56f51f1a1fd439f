"""What scripts rely on: exit codes, which stream has what, and how long it takes to say so."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harness.balancer import PROGRAM

TEXT = (
    '[listeners.web]\nbind = "127.0.0.1:0"\npool = "app"\n[pools.app]\nbackends = ["127.0.0.1:1"]\n'
)


@pytest.fixture
def call(short_path, monkeypatch):
    """Runs ``fairlead WORDS`` in a folder of its own; nothing of the user's is seen."""
    for name in ("NO_COLOR", "FORCE_COLOR", "FAIRLEAD_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    # Nobody runs here, whatever else does on this machine.
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(short_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(short_path))
    monkeypatch.chdir(short_path)

    def call(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words], capture_output=True, text=True, timeout=20, check=False, **more
        )

    return call


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["schema"], 0),
        (["completion", "bash"], 0),
        (["check", "right.toml"], 0),
        (["http", ":0", "127.0.0.1:1", "--print-config"], 0),
        ([], 2),
        (["nope"], 2),
        (["http"], 2),
        (["http", ":0", "127.0.0.1:1", "--nope"], 2),
        (["http", ":0", "nowhere"], 2),
        (["http", ":0", "127.0.0.1:1", "--access-log", ""], 2),
        (["check"], 2),
        (["check", "wrong.toml"], 2),
        (["check", "nope.toml"], 2),
        (["run", "wrong.toml"], 2),
        (["run", "nope.toml"], 2),
        (["demo", "--seconds", "x"], 2),
    ],
)
def test_exit_codes(call, words, code):
    Path("right.toml").write_text(TEXT)
    Path("wrong.toml").write_text(TEXT.replace("backends", "bakcends"))
    done = call(*words)

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (code == 0 and words[:1] != ["check"])


def test_a_module_is_started_like_the_command(call):
    done = subprocess.run(
        [sys.executable, "-m", "fairlead", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout == call("--version").stdout


def test_what_is_printed_can_be_checked_and_run(call):
    done = call("tcp", "127.0.0.1:0", "localhost:1*2", "!", "127.0.0.1:2", "--print-config")
    Path("printed.toml").write_text(done.stdout)

    assert tomllib.loads(done.stdout)["pools"]["app"]["backends"][0] == "localhost:1*2"
    assert call("check", "printed.toml").returncode == 0


def test_errors_as_json_are_the_only_output(call):
    Path("wrong.toml").write_text(TEXT.replace("backends", "bakcends"))
    done = call("check", "wrong.toml", "--json")

    assert done.stderr == ""
    assert [error["line"] for error in json.loads(done.stdout)["errors"]] == [4, 5]


def test_there_is_no_colour_off_a_terminal_but_on_request(call, monkeypatch):
    assert "\033" not in call("nope").stderr

    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\033[31merror:\033[0m" in call("nope").stderr

    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in call("nope").stderr


def test_a_reader_that_goes_away_is_no_traceback(call):
    process = subprocess.Popen(
        [PROGRAM, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=20)

    assert errors == ""
    assert process.returncode in (0, 1)


def test_ctrl_c_is_no_traceback(call):
    # Reads a configuration from a pipe that nobody writes to: surely in the middle of something.
    os.mkfifo("slow.toml")
    process = subprocess.Popen([PROGRAM, "check", "slow.toml"], stderr=subprocess.PIPE, text=True)
    # This waits until it has opened the other end.
    with Path("slow.toml").open("wb"):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors.strip()) == (130, "")


# ------------------------------------------------------------------------------------------- quickly


def imported(*words: str) -> set[str]:
    """The modules that a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "fairlead", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {
        line.rsplit("|", 1)[1].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:") and "|" in line
    }


HEAVY = {"asyncio", "logging", "rich", "yaml", "dataclasses", "fairlead.control", "h11"}


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--version"], {*HEAVY, "msgspec", "click", "json"}),
        (["version"], {*HEAVY, "msgspec", "click", "json"}),
        (["--help"], {*HEAVY, "msgspec"}),
        (["http", "--help"], {*HEAVY, "msgspec"}),
        (["completion", "bash"], {*HEAVY, "msgspec"}),
        (["check", "right.toml"], HEAVY),
        (["http", ":0", "127.0.0.1:1", "--print-config"], HEAVY),
        (["status"], {*HEAVY, "msgspec"} - {"fairlead.control"}),
    ],
)
def test_commands_import_only_what_they_need(call, words, absent):
    Path("right.toml").write_text(TEXT)

    assert imported(*words) & absent == set()


def test_importing_the_package_imports_nothing_else():
    code = (
        "import sys; before = set(sys.modules); import fairlead; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("fairlead")}

    assert loaded == {"fairlead"}


def test_every_public_name_is_there():
    import fairlead

    assert {name for name in fairlead.__all__ if not hasattr(fairlead, name)} == set()
    assert set(dir(fairlead)) == set(fairlead.__all__)
    assert not hasattr(fairlead, "nothing")
    assert hasattr(fairlead.config, "Pool")
    assert not hasattr(fairlead.config, "nothing")
    assert set(dir(fairlead.config)) == set(fairlead.config.__all__)


def cpu_seconds(*words: str) -> float:
    """Processor time of a command: the wall clock measures what else runs on the machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([PROGRAM, *words], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("words", "most"), [(["--version"], 0.06), (["check", "right.toml"], 0.15)]
)
def test_short_commands_are_short(call, words, most):
    Path("right.toml").write_text(TEXT)

    assert min(cpu_seconds(*words) for _ in range(5)) < most


@pytest.mark.parametrize("mistake", ["", "pth"])
def test_a_thousand_listeners_are_checked_in_a_moment(call, mistake):
    Path("large.toml").write_text(
        "".join(
            f'[listeners.web{n}]\nbind = ":{10_000 + n}"\npool = "app{n}"\n'
            f"[pools.app{n}]\nbackends = {[f'127.0.0.{k}:{10_000 + n}' for k in range(1, 5)]}\n"
            f'[pools.app{n}.check]\ntype = "http"\n{mistake or "path"} = "/healthz"\n'
            for n in range(1000)
        )
    )

    assert min(cpu_seconds("check", "large.toml") for _ in range(2)) < 2
    assert call("check", "large.toml").returncode == (2 if mistake else 0)
