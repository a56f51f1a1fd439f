from __future__ import annotations

from fairlead.cli.screen import fit


def test_what_fits_stays():
    assert fit("a\nb", 10, 2) == ["a", "b"]
    assert fit("", 10, 2) == [""]


def test_colours_take_no_room():
    assert fit("\033[31mdown\033[0m now", 6, 1) == ["\033[31mdown\033[0m n"]
    assert fit("\033[31mdown\033[0m", 2, 1) == ["\033[31mdo\033[0m"]


def test_what_is_cut_off_is_counted():
    assert fit("a\nb\nc\nd", 20, 3) == ["a", "b", "… 2 more lines"]
