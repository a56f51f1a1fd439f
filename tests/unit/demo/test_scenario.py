"""The script of the demo keeps what it promises."""

from itertools import islice

import pytest

from fairlead.demo.scenario import BACKENDS, CALM_SECONDS, ROUND_SECONDS, acts


def test_a_demo_of_limited_length_ends_in_calm():
    for seconds in (1, 5, 15, 40, 60):
        assert all(act.ends <= seconds - CALM_SECONDS for act in acts(seconds))
    assert list(acts(2)) == []


def test_fifteen_seconds_show_every_way_to_fail():
    assert [act.deed for act in acts(15)] == ["slow", "freeze", "kill", "swallow", "break_off"]


def test_without_a_limit_it_never_ends():
    assert len(list(islice(acts(None), 1000))) == 1000


def test_nobody_has_two_parts_at_once_and_acts_come_in_order():
    played = list(acts(8 * ROUND_SECONDS))
    assert [act.begins for act in played] == sorted(act.begins for act in played)
    for one in played:
        for other in played:
            apart = one.ends <= other.begins or other.ends <= one.begins
            assert one is other or apart or not set(one.backends) & set(other.backends)


@pytest.mark.parametrize("deed", ["slow", "freeze", "kill", "swallow", "break_off", "drain"])
def test_everybody_has_every_part_in_time(deed):
    hit = {name for act in acts(4 * ROUND_SECONDS) if act.deed == deed for name in act.backends}
    assert hit == set(BACKENDS)


def test_every_act_has_a_text():
    assert all(act.text for act in acts(ROUND_SECONDS))
