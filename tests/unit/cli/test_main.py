from __future__ import annotations

import sys

import click
import pytest

from fairlead import _engine
from fairlead.cli import main as main_module
from fairlead.cli import output
from fairlead.errors import ConfigError, ConfigErrors, ControlError


@pytest.mark.parametrize("words", [["--version"], ["version"], ["--version", "status"]])
def test_the_version_is_data(run, words):
    assert run(*words) == (0, f"fairlead {_engine.VERSION}\n", "")


def test_help_that_was_asked_for_is_data(run):
    done = run("--help")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Examples:\n")


def test_help_that_was_not_asked_for_is_not(run):
    done = run()

    assert (done.code, done.out) == (2, "")
    assert "Usage: fairlead" in done.err


def test_a_wrong_command_line_is_2_with_hint_and_example(run):
    done = run("statsu")

    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: there is no command `statsu`\n"
        "hint: did you mean `fairlead status`?\n"
        "example: fairlead http :8080 app1:8000 app2:8000\n"
    )


@pytest.fixture
def raising(monkeypatch):
    """Makes the command line raise this."""

    def make(error: BaseException) -> None:
        def main(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(main_module, "_commands", click.Group)
        monkeypatch.setattr(click.Group, "main", main)

    return make


def test_errors_have_their_exit_codes(run, raising):
    raising(ControlError("it is not there", "start it"))
    assert run("status") == (1, "", "error: it is not there\nhint: start it\n")

    raising(ConfigErrors([ConfigError("a.b", "one thing", "", None)]))
    assert run("check") == (2, "", "error[a.b]: one thing\n\n1 error\n")

    raising(click.ClickException("it went wrong"))
    assert run("check") == (1, "", "error: it went wrong\n")

    raising(click.Abort())
    assert run("check").code == 130

    raising(KeyboardInterrupt())
    assert run("events").code == 130


def test_nobody_reading_is_no_traceback(run, raising, monkeypatch):
    closed = []
    monkeypatch.setattr(output, "close", lambda: closed.append(True))
    raising(BrokenPipeError())

    assert run("status") == (1, "", "")
    assert closed == [True]


def test_the_exit_code_of_a_command_is_that_of_the_process(run, monkeypatch):
    monkeypatch.setattr("fairlead.cli.commands.check._check", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["fairlead", "check"])

    with pytest.raises(ZeroDivisionError):
        main_module.main()
