from __future__ import annotations

import pytest

from fairlead.errors import ConfigError, ConfigErrors, ControlError, EngineError, FairleadError
from harness.texts import place


def test_an_error_says_where_what_and_what_was_expected():
    error = ConfigError("duration.form", "`5` is not a duration", "a number and a unit", place())

    assert str(error) == ("fairlead.toml:1:7: `5` is not a duration: expected a number and a unit")


def test_an_error_in_full_shows_the_line_and_ends_with_the_hint():
    error = ConfigError("key.unknown", "`a`", "`b`", place(), "did you mean `b`?")

    assert error.render().split("\n") == [
        "error[key.unknown]: `a`",
        " --> fairlead.toml:1:7",
        "  |",
        '1 | key = "value"',
        "  |       ^^^^^^^ expected `b`",
        "hint: did you mean `b`?",
    ]


def test_an_error_without_a_place_or_expectation_says_what_it_can():
    assert ConfigError("file.missing", "no file", "", None).render() == (
        "error[file.missing]: no file"
    )
    assert ConfigError("syntax", "what", "", place()).render().endswith("^^^^^^^")


def test_what_a_file_says_reaches_no_terminal_as_it_is():
    error = ConfigError("x", "`\x1b[2J\n" + "y" * 10_000 + "` end", "", None, "h\x07")

    assert error.found.isprintable()
    assert len(error.found) <= 300
    assert error.found.endswith("` end")
    assert error.hint is not None
    assert error.hint.isprintable()


def test_errors_come_together_and_each_can_be_caught():
    group = ConfigErrors([ConfigError("a", "one", "", None), ConfigError("b", "two", "", None)])
    caught = []
    try:
        raise group
    except* ConfigError as errors:
        caught += errors.exceptions

    assert caught == list(group.errors)
    assert str(group) == "error[a]: one\n\nerror[b]: two\n\n2 errors"
    assert isinstance(group, FairleadError)
    assert isinstance(group.subgroup(ConfigError), ConfigErrors)


def test_one_error_is_one_error():
    assert str(ConfigErrors([ConfigError("a", "x", "", None)])).endswith("\n1 error")


@pytest.mark.parametrize("kind", [ControlError, EngineError])
def test_other_errors_carry_a_hint(kind):
    error = kind("it went wrong", "do this")

    assert (str(error), error.hint) == ("it went wrong", "do this")
    assert kind("x").hint is None
