from __future__ import annotations

import pytest

from fairlead.compat.channels import Channel, Group, parse_channel, parse_channels
from fairlead.compat.usage import ExitError


@pytest.mark.parametrize(
    ("word", "channel"),
    [
        ("mail", Channel("mail", 25)),
        ("mail:80", Channel("mail", 80)),
        ("mail:smtp", Channel("mail", 25)),
        ("mail:80:16", Channel("mail", 80, 16)),
        ("mail::16", Channel("mail", 25, 16)),
        ("mail:", Channel("mail", 25)),
        ("db::4", Channel("db", 25, 4)),
        ("[::1]", Channel("::1", 25)),
        ("[::1]:80:3", Channel("::1", 80, 3)),
        ("2001:db8::1", Channel("2001:db8::1", 25)),
    ],
)
def test_a_channel_may_leave_out_what_it_likes(word, channel):
    assert parse_channel(word, 25) == channel


@pytest.mark.parametrize(
    "word", ["", ":80", "a:0", "a:65536", "a:80:x", "a:80:1:2", "[::1", "[a]b"]
)
def test_a_channel_that_is_none_is_65(word):
    with pytest.raises(ExitError) as caught:
        parse_channel(word, 25)

    assert caught.value.code == 65


def test_a_separator_says_what_the_group_before_it_is():
    a, b, c = (Channel(name, 80) for name in "abc")

    assert parse_channels(["a"], 80) == (Group((a,)),)
    assert parse_channels(["a", "b", "!", "c"], 80) == (Group((a, b)), Group((c,)))
    assert parse_channels(["a", "%", "b"], 80) == (Group((a,), hashed=True), Group((b,)))
    assert parse_channels(["a", "%"], 80) == (Group((a,), hashed=True),)
    assert parse_channels([], 80) == ()


@pytest.mark.parametrize(
    "words", [["!"], ["a", "!", "%", "b"], ["a", "!"] * 16 + ["a"], ["a"] * 65]
)
def test_groups_that_can_not_be_are_a_usage_error(words):
    with pytest.raises(ExitError) as caught:
        parse_channels(words, 80)

    assert caught.value.code == 64


def test_sixteen_groups_of_sixty_four_channels_can_be():
    words = (["a"] * 64 + ["!"]) * 15 + ["a"] * 64

    assert [len(group.channels) for group in parse_channels(words, 80)] == [64] * 16
