from __future__ import annotations

import pytest

from fairlead.compat.arguments import Arguments, Keepalive, parse_arguments
from fairlead.compat.usage import UsageError


def test_what_is_left_out_is_as_in_balance():
    assert parse_arguments(["80", "a"]) == Arguments(port="80", channels=("a",))
    assert Arguments().connect_seconds == 5
    assert Arguments().idle_seconds == 0


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["-a"], "autodisable", True),
        (["-d"], "debug", True),
        (["-f"], "foreground", True),
        (["-p"], "dump", True),
        (["-H"], "hash_failover", True),
        (["-6"], "six", True),
        (["-b", "::1"], "bind", "::1"),
        (["-B10.0.0.1"], "source", "10.0.0.1"),
        (["-t", "0.25"], "connect_seconds", 0.25),
        (["-T", "3600"], "idle_seconds", 3600),
        (["-m", "connect"], "monitor", "connect"),
        (["-k", "60,10,5"], "client_keepalive", Keepalive(60, 10, 5)),
        (["-K", "60,10,5"], "channel_keepalive", Keepalive(60, 10, 5)),
        (["--compat=strict"], "strict", True),
    ],
)
def test_each_letter_has_its_field(words, field, value):
    assert getattr(parse_arguments([*words, "80", "a"]), field) == value
    assert getattr(parse_arguments(["80", "a", *words]), field) == value


def test_the_map_file_of_balance_is_accepted_and_means_nothing():
    assert parse_arguments(["-M", "80", "a"]) == parse_arguments(["80", "a"])


def test_letters_may_be_joined_and_a_value_ends_a_word():
    made = parse_arguments(["-fpat3", "80", "a"])

    assert (made.foreground, made.dump, made.autodisable, made.connect_seconds) == (
        True,
        True,
        True,
        3,
    )


def test_two_dashes_end_the_options():
    assert parse_arguments(["--", "80", "-x"]).channels == ("-x",)


def test_asking_takes_a_port_and_nothing_else():
    assert parse_arguments(["-c", "show", "80"]).command == "show"
    assert parse_arguments(["-i", "80"]).interactive
    for words in (["-c", "show", "80", "a"], ["-i"], ["-c", "show"]):
        with pytest.raises(UsageError):
            parse_arguments(words)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-z", "80"], "invalid option -- 'z'"),
        (["80", "-t"], "option requires an argument -- 't'"),
        (["-t", "nan", "80"], "-t nan: expected a number of seconds above 0"),
        (["-T", "-1", "80"], "-T -1: expected a number of seconds above 0"),
        (["-k", "60,10", "80"], "-k 60,10: expected idle,interval,probes, such as 60,10,5"),
        (["-k", "60,10,128", "80"], "-k 60,10,128: expected"),
        (["--what", "80"], "unrecognized option '--what'"),
        ([], ""),
    ],
)
def test_what_is_wrong_is_said(words, why):
    with pytest.raises(UsageError) as caught:
        parse_arguments(words)

    assert str(caught.value).startswith(why)
    assert caught.value.code == 64
