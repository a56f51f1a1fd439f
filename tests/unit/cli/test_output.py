from __future__ import annotations

import io
import json
import os

import pytest

from fairlead.cli import output
from fairlead.errors import ConfigError, ConfigErrors
from harness.texts import place


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "stream", "colour"),
    [
        ({}, Terminal(), True),
        ({}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, Terminal(), False),
        ({"NO_COLOR": ""}, Terminal(), True),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, Terminal(), False),
        ({"TERM": "dumb"}, Terminal(), False),
    ],
)
def test_colour_is_for_terminals_unless_somebody_says_otherwise(
    environment, stream, colour, monkeypatch
):
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert output.colourful(stream) is colour
    assert ("\033[" in output.paint("x", "bad", stream)) is colour


def test_what_has_no_role_has_no_colour(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert output.paint("x", "") == "x"


def test_data_and_words_go_their_ways(capsys):
    output.data("data")
    output.json_data({"ä": 1})
    output.say("words")
    output.tell("news")
    output.error("bad", hint="do", example="so")

    out, err = capsys.readouterr()
    assert out.startswith("data\n")
    assert json.loads(out.removeprefix("data\n")) == {"ä": 1}
    assert err == "words\nfairlead: news\nerror: bad\nhint: do\nexample: so\n"


def test_errors_without_colour_are_their_own_text():
    errors = ConfigErrors([ConfigError("a.b", "one", "two", place(), "three")])

    assert output.render_errors(errors, colour=False) == str(errors)


def test_colour_changes_no_word_of_an_error():
    errors = ConfigErrors(
        [
            ConfigError("a.b", "one: two", "three", place(), "four: five"),
            ConfigError("c.d", "no place", "", None),
        ]
    )
    coloured = output.render_errors(errors, colour=True)
    plain = coloured
    for code in (*output._ROLES.values(), "0"):
        plain = plain.replace(f"\033[{code}m", "")

    assert plain == str(errors)
    assert coloured.count("\033[31m") == 3


def test_cells_with_colour_are_as_wide_as_their_words(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    green = output.paint("ok", "good")
    lines = output.table(["A", "B"], [[green, "1"], ["long", "22"]], numbers=(1,)).splitlines()

    assert lines == ["A      B", f"{green}     1", "long  22"]


def test_a_reader_that_is_gone_is_no_error(monkeypatch, tmp_path):
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

        def fileno(self) -> int:
            return descriptor

    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY)
    monkeypatch.setattr("sys.stderr", Gone())
    output.say("x")
    monkeypatch.setattr("sys.stdout", Gone())
    output.close()
    with pytest.raises(BrokenPipeError):
        output.data("x")
    os.close(descriptor)
