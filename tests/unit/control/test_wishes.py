"""Wishes at run time: what survives a reload and what doesn't."""

import pytest

from fairlead.control.wishes import Configured, Wishes, configured

NAME = ("app", "10.0.0.1:80")
PLAIN = Configured("enabled", 1)


@pytest.fixture
def wishes():
    made = Wishes()
    made.add(NAME, PLAIN, state="draining", weight=None)
    return made


def test_a_wish_survives_what_leaves_its_backend_alone(wishes, engine):
    assert wishes.carry_over({NAME: PLAIN, ("app", "new"): PLAIN}) == []
    engine._states[NAME] = ["enabled", 1]
    wishes.apply(engine)
    assert engine._states[NAME] == ["draining", 1]


def test_a_wish_goes_with_its_backend(wishes):
    (line,) = wishes.carry_over({})
    assert line.startswith("app/10.0.0.1:80 is gone")
    assert len(wishes) == 0


def test_the_file_has_the_last_word_when_it_changed(wishes):
    (line,) = wishes.carry_over({NAME: Configured("enabled", 5)})
    assert "was changed in the configuration" in line
    assert len(wishes) == 0


def test_wishes_add_up_and_cancel_out(wishes, engine):
    wishes.add(NAME, PLAIN, state=None, weight=7)
    engine._states[NAME] = ["enabled", 1]
    wishes.apply(engine)
    assert engine._states[NAME] == ["draining", 7]
    wishes.add(NAME, PLAIN, state="enabled", weight=1)
    assert len(wishes) == 0


def test_rows_are_indexed_by_pool_and_address():
    assert configured([("app", "a:1", "enabled", 3)]) == {("app", "a:1"): Configured("enabled", 3)}
