from __future__ import annotations

import pytest

from fairlead.compat.spec import Command, Connect, Monitoring, parse_spec
from fairlead.compat.usage import ExitError


def test_what_is_left_out():
    made = parse_spec("connect", 5)

    assert made == Monitoring((Connect(5.0),), 60.0, enable=True, disable=True, rise=1, fall=3)


def test_everything_at_once():
    spec = "interval=0.5:connect:timeout=0.4:command=/bin/check %H:pass=0,2:rise=2:fall=4:noenable"

    assert parse_spec(f"{spec}:nodisable", 5) == Monitoring(
        (Connect(0.4), Command("/bin/check %H", (0, 2), 30.0)),
        0.5,
        enable=False,
        disable=False,
        rise=2,
        fall=4,
    )


def test_options_belong_to_the_action_before_them():
    made = parse_spec("command=a:pass=1:command=b:connect:timeout=2", 5)

    assert made.actions == (Command("a", (1,), 30), Command("b", (0,), 30), Connect(2))


def test_a_backslash_takes_the_next_character_as_it_is():
    assert parse_spec(r"command=a\:b\\c=d\=e", 5).actions[0] == Command(r"a:b\c=d=e", (0,), 30)


def test_a_connect_is_not_waited_for_beyond_the_next_round():
    assert parse_spec("connect:interval=1", 5).actions == (Connect(1.0),)
    assert parse_spec("connect:interval=0.2", 5).actions == (Connect(1.0),)
    assert parse_spec("connect:interval=60", 5).actions == (Connect(5.0),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "connect:",
        "interval=1",
        "pass=0:command=a",
        "command",
        "connect:fall=0",
        "connect=",
        "x",
    ],
)
def test_a_spec_that_is_none_is_69(text):
    with pytest.raises(ExitError, match=r"^invalid monitoring spec: ") as caught:
        parse_spec(text, 5)

    assert caught.value.code == 69
