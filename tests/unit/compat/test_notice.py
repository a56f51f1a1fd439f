from __future__ import annotations

from fairlead.compat.notice import Channel, Notices

CHANNEL = Channel(1, 2, "10.0.0.1", 25)


def told(before, after, why, *, autodisable=False, stays=False):
    lines = []
    Notices(lines.append, autodisable=autodisable).changed(CHANNEL, before, after, why, stays=stays)
    return lines


def test_only_out_and_back_are_told():
    assert told("healthy", "suspect", "x") == []
    assert told("suspect", "down", "check: x") == [
        "group 1 channel 2 (10.0.0.1:25) is out: check: x"
    ]
    assert told("down", "healthy", "check: y") == [
        "group 1 channel 2 (10.0.0.1:25) is back: check: y"
    ]


def test_autodisable_is_told_in_balances_words():
    assert told("healthy", "down", "traffic: x", autodisable=True)[0] == (
        "connection failed group 1 channel 2"
    )
    assert told("healthy", "down", "traffic: x", autodisable=True, stays=True)[1] == (
        "10.0.0.1:25 needs to be enabled manually using balance -i"
    )
    assert len(told("healthy", "down", "check: x", autodisable=True)) == 1
