from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import _engine
from fairlead.config.parse import Parsed
from fairlead.config.quick import Quick, parse_quick
from fairlead.config.schema import AccessLog, Admin, Backend, Config
from fairlead.config.write import write_toml
from fairlead.errors import ConfigError, ConfigErrors
from harness import texts


def read(line: str, **options: str | int) -> Parsed:
    protocol, listen, *backends = line.split()
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return parse_quick(Quick(protocol, listen, backends, named), _engine)


def config(line: str, **options: str | int) -> Config:
    return read(line, **options).config


def backends(line: str) -> tuple[Backend, ...]:
    return config(line).pools["app"].backends


def wrong(line: str, **options: str | int) -> list[ConfigError]:
    with pytest.raises(ConfigErrors) as caught:
        read(line, **options)
    return list(caught.value.errors)


def told(line: str, **options: str | int) -> list[tuple[str, str]]:
    return [(error.code, error.place.text) for error in wrong(line, **options)]


def test_http_has_a_listener_web_and_tcp_one_of_its_name():
    assert config("http 8080 a:1").listeners["web"].bind == (":8080",)
    assert config("http 8080 a:1").listeners["web"].protocol == "http"
    assert config("tcp 8080 a:1").listeners["tcp"].protocol == "tcp"


def test_groups_weights_and_commas():
    assert backends("http 80 a:1,b:1*2 ! c:1 d:1*3 ! unix:/x,y") == (
        Backend("a:1"),
        Backend("b:1", 2),
        Backend("c:1", 1, 1),
        Backend("d:1", 3, 1),
        Backend("unix:/x,y", 1, 2),
    )


def test_on_tcp_a_host_alone_takes_the_listeners_port():
    assert backends("tcp 127.0.0.1:5432 db1,[::1] db2*3 http://db3 unix:/x db4:1") == (
        Backend("db1:5432"),
        Backend("[::1]:5432"),
        Backend("db2:5432", 3),
        Backend("db3:80"),
        Backend("unix:/x"),
        Backend("db4:1"),
    )


@pytest.mark.parametrize("line", ["http 80 a", "tcp unix:/x a", "tcp 0 a", "tcp :0 a"])
def test_where_there_is_no_port_to_take_it_is_missed(line):
    assert told(line) == [("address.form", "a")]


def test_options_are_keys_of_the_configuration():
    made = config(
        "http 80 a:1",
        policy="p2c",
        check="/up",
        interval="1s",
        timeout="2s",
        rise=3,
        fall=4,
        connect_timeout="5s",
        attempts=6,
        admin="127.0.0.1:9100",
        access_log="/tmp/log",
        workers=7,
        io="epoll",
    )
    pool = made.pools["app"]

    assert (pool.policy, pool.check.type, pool.check.path) == ("p2c", "http", "/up")
    assert (pool.check.interval, pool.check.timeout) == (
        timedelta(seconds=1),
        timedelta(seconds=2),
    )
    assert (pool.check.rise, pool.check.fall) == (3, 4)
    assert pool.timeouts.connect == timedelta(seconds=5)
    assert pool.retry.attempts == 6
    assert made.admin == Admin(listen="127.0.0.1:9100")
    assert made.workers == 7
    assert made.io == "epoll"
    assert made.access_log == AccessLog(to="/tmp/log")


def test_checks_have_short_names():
    assert config("http 80 a:1").pools["app"].check.type == "tcp"
    assert config("http 80 a:1", check="tcp").pools["app"].check.type == "tcp"
    assert config("http 80 a:1", check="none").pools["app"].check.type == "none"
    assert told("http 80 a:1", check="htpp") == [("usage", "htpp")]


@pytest.mark.parametrize(
    ("line", "code", "place"),
    [
        ("http 80 ! a:1", "usage", "!"),
        ("http 80 a:1 ! ! b:1", "usage", "!"),
        ("http 80 a:1 !", "usage", "!"),
        ("http 80 a:1!b:1", "address.form", "a:1!b:1"),
        ("http 80 a:1*x", "weight.range", "a:1*x"),
        ("http 80 a:1, ", "address.form", ""),
        ("http 80 a:1 a:1", "backend.duplicate", "a:1"),
        ("http x a:1", "address.form", "x"),
        ("http 80 https://a", "address.scheme", "https://a"),
    ],
)
def test_mistakes_are_underlined_in_the_command(line, code, place):
    assert told(line) == [(code, place)]


def test_all_mistakes_are_told_in_the_order_of_the_words():
    errors = wrong("http x a:1!b b:70000 !", interval="5", policy="randm", rise=0)

    assert [error.place.text for error in errors] == [
        "x",
        "a:1!b",
        "b:70000",
        "!",
        "5",
        "randm",
        "0",
    ]
    assert str(errors[0]).startswith("command line:1:15: ")


def test_words_that_a_shell_would_split_are_shown_in_quotes():
    with pytest.raises(ConfigErrors) as caught:
        parse_quick(Quick("http", "80", ["a b:1", ""]), _engine)

    assert caught.value.errors[0].place.line_text == "fairlead http 80 'a b:1' ''"


def test_without_backends_that_is_said():
    with pytest.raises(ConfigErrors) as caught:
        parse_quick(Quick("http", "80", []), _engine)

    assert [error.found for error in caught.value.errors] == ["there is no backend"]


WORDS = st.sampled_from(["a:1", "b:2*3", "c:3,d:4", "!", "unix:/x", "e", "[::1]:5", "http://f"])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "policy": st.sampled_from(["p2c", "first"]),
        "check": st.sampled_from(["tcp", "none", "/up"]),
        "interval": st.sampled_from(["1s", "500ms"]),
        "fall": st.integers(1, 9),
        "attempts": st.integers(1, 64),
        "admin": st.just("127.0.0.1:9100"),
        "workers": st.integers(0, 9),
        "io": st.sampled_from(["epoll", "uring", "auto"]),
    },
)


@given(st.sampled_from(["http", "tcp"]), st.lists(WORDS, max_size=5), OPTIONS)
def test_the_file_that_is_printed_says_the_same(protocol, words, options):
    try:
        made = parse_quick(Quick(protocol, "127.0.0.1:80", words, options), _engine).config
    except ConfigErrors:
        return

    assert texts.parse(write_toml(made)).config == made


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=4), st.text(max_size=6))
def test_no_words_do_anything_but_read_or_be_refused(listen, words, check):
    with contextlib.suppress(ConfigErrors):
        parse_quick(Quick("http", listen, words, {"check": check, "interval": check}), _engine)
