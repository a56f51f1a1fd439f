from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.place import Source


def test_lines_and_columns_count_from_one_and_columns_in_characters():
    source = Source("f", "a\nbä\N{GRINNING FACE}c")
    face = source.data.index(b"c")
    place = source.place(face, face + 1)

    assert (place.line, place.column, place.end_column) == (2, 4, 5)
    assert str(place) == "f:2:4"
    assert repr(place) == "<f:2:4>"
    assert place.text == "c"


def test_an_empty_place_is_one_character_wide():
    place = Source("f", "").place(0, 0)

    assert (place.line, place.column, place.end_column) == (1, 1, 2)
    assert place.frame("here") == [" --> f:1:1", "  |", "1 |", "  | ^ here"]


def test_wide_characters_are_underlined_wide():
    source = Source("f", 'k = "日本e\N{COMBINING ACUTE ACCENT}"')
    place = source.place(4, len(source.data))

    assert place.frame("")[-1] == "  |     " + "^" * 7


def test_only_the_first_line_of_a_place_is_underlined():
    place = Source("f", "a = [\n  1,\n]").place(4, 12)

    assert place.frame("x")[2:] == ["1 | a = [", "  |     ^ x"]


def test_what_a_terminal_would_act_upon_is_not_shown():
    shown = "\n".join(Source("f", "a\x1b[31m\tb\r\n").place(0, 1).frame("x"))

    assert "\x1b" not in shown
    assert "\t" not in shown
    assert "\r" not in shown


def test_a_very_long_line_is_cut_around_the_place():
    source = Source("f", "x" * 100_000 + "HERE" + "y" * 100_000)
    place = source.place(100_000, 100_004)
    line = place.line_text

    assert "HERE" in line
    assert line.startswith("…")
    assert line.endswith("…")
    assert len(line) < 130
    assert place.frame("")[-1].index("^") == place.frame("")[-2].index("HERE")


def test_a_long_place_at_the_beginning_is_cut_at_its_end():
    place = Source("f", "x" * 1000).place(0, 1000)

    assert len(place.line_text) <= 121


@given(st.text(max_size=60), st.data())
def test_any_place_in_any_text_can_be_shown(text, data):
    source = Source("f", text)
    start = data.draw(st.integers(0, len(source.data)))
    end = data.draw(st.integers(start, len(source.data)))
    place = source.place(start, end)

    assert place.line >= 1
    assert place.column >= 1
    assert place.end_column > place.column
    assert all("\n" not in line for line in place.frame("label"))


@pytest.mark.parametrize(
    "line",
    [
        'token = "hunter2hunter2" # wrong',
        "token = 'hunter2hunter2'",
        'admin = { listen = ":1", token = "hunter2hunter2", tokn = 3 }',
        "token: hunter2hunter2",
        '"token": "hunter2hunter2",',
        'tokn = "hunter2hunter2"',
        'db-password = "hunter2\\"hunter2"',
        'token = "hunter2hunter2',
    ],
)
def test_secrets_are_stars(line):
    source = Source("x.toml", f"[admin]\n{line}\n")
    for start in range(8, 8 + len(line)):
        place = source.place(start, start + 3)
        assert "hunter2" not in "\n".join(place.frame("expected more")) + place.line_text
        assert len(place.line_text) == len(line)


def test_the_name_of_a_file_is_no_secret():
    text = 'token_file = "/etc/fairlead/token"'
    assert Source("x.toml", text).place(0, 5).line_text == text
