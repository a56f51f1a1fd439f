"""The units in packaging/systemd are what systemd takes, and as hard as they say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.balancer import PROGRAM
from harness.programs import find
from harness.sources import ROOT

# Tenths of systemd's own measure, 0 to 10: what is left are the network and the user's own files.
EXPOSURE = 13


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units, for a program that is there."""
    made = []
    for source in sorted((ROOT / "packaging/systemd").glob("fairlead.*")):
        copy = tmp_path / source.name
        copy.write_text(source.read_text().replace("/usr/bin/fairlead", str(PROGRAM)))
        made.append(copy)
    return made


def analyze(*words: object) -> str:
    program = find("systemd-analyze", "systemd")
    done = subprocess.run(
        [program, *map(str, words)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def settings(unit: Path) -> dict[str, list[str]]:
    """What a unit sets, each in its order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_systemd_finds_nothing_wrong_with_them(units: list[Path]) -> None:
    assert len(units) == 2
    assert analyze("verify", *units) == ""


def test_the_service_is_hardened(units: list[Path]) -> None:
    analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", units[0])


def test_it_is_started_again_whatever_it_ended_by(units: list[Path]) -> None:
    """Exit 2 is a wrong file, but a port in use, too, and a name that doesn't resolve yet.

    `RestartPreventExitStatus=` would give up at those; it doesn't count for `ExecStartPre=`, whose
    failure would be restarted for ever, and which would import users' Python once more.
    """
    words = settings(units[0])

    assert words["Type"] == ["notify"]
    assert words["Restart"] == ["always"]
    assert words["StartLimitIntervalSec"] == ["0"]
    assert "RestartPreventExitStatus" not in words
    assert "ExecStartPre" not in words


def test_it_may_call_what_the_engine_calls(units: list[Path]) -> None:
    """A refusal would be silent: fewer descriptors, policies that keep traffic waiting."""
    filters = settings(units[0])["SystemCallFilter"]

    assert filters[0] == "@system-service"
    assert filters[1].startswith("~")
    assert set(filters[2].split()) == {"setrlimit", "prlimit64", "sched_setscheduler"}
