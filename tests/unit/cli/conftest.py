"""Fixtures: a command run in this process, and instances for it to talk to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fairlead.cli.main import main
from harness.instance import Instance


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def environment(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for everything that a command may find."""
    for name in ("NO_COLOR", "FORCE_COLOR", "FAIRLEAD_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(short_path))
    # What else runs on this machine is no business of these tests.
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(short_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(short_path)
    return short_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``fairlead WORDS`` in this process."""

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["fairlead", *words])
        try:
            code = main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture
def instance(environment: Path) -> Iterator[Callable[..., Instance]]:
    """Makes running instances: ``instance({"POST /v1/reload": (200, …)}, pid=7)``."""
    made: list[Instance] = []

    def make(answers: dict[str, Any] | None = None, pid: int = 4242) -> Instance:
        made.append(Instance(environment / "fairlead" / f"{pid}.sock", answers or {}))
        return made[-1]

    yield make
    for each in made:
        each.close()
