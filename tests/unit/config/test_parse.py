from __future__ import annotations

from datetime import timedelta

from harness.texts import APP, WEB, parse, told, wrong


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_places_are_kept_for_whoever_finds_out_later():
    places = parse(WEB + APP).places

    assert places[("listeners", "web", "bind")].text == '":0"'
    assert places[("pools", "app", "backends", 0)].text == '"127.0.0.1:1"'


def test_defaults_hold_where_nothing_else_is_said_key_by_key():
    text = (
        WEB
        + "[listeners.web.timeouts]\nhead = '1s'\n"
        + APP
        + "[pools.app.check]\ninterval = '9s'\n"
        + "[pools.other]\npolicy = 'first'\nbackends = ['127.0.0.1:2']\n"
        + "[defaults]\npolicy = 'random'\ntrusted_proxies = ['10.0.0.0/8']\n"
        + "[defaults.check]\ntype = 'http'\npath = '/up'\n"
        + "[defaults.timeouts]\nconnect = '2s'\nbody = '3s'\nidle = '4s'\n"
        + "[defaults.retry]\nattempts = 5\n"
        + "[defaults.limits]\nheaders = 9\n"
    )
    config = parse(text).config
    app, other, web = config.pools["app"], config.pools["other"], config.listeners["web"]

    assert (app.policy, other.policy) == ("random", "first")
    assert (app.check.type, app.check.path, app.check.interval) == ("http", "/up", seconds(9))
    assert (other.check.path, other.check.interval) == ("/up", seconds(2))
    assert (app.timeouts.connect, app.timeouts.idle) == (seconds(2), seconds(4))
    assert app.timeouts.response == seconds(30)
    assert app.retry.attempts == 5
    assert (web.timeouts.head, web.timeouts.body) == (seconds(1), seconds(3))
    assert web.timeouts.idle == seconds(4)
    assert web.limits.headers == 9
    assert web.trusted_proxies == ("10.0.0.0/8",)


def test_defaults_of_pools_or_listeners_alone_count_for_more():
    text = (
        WEB
        + APP
        + "[defaults.timeouts]\nidle = '4s'\nconnect = '2s'\n"
        + "[defaults.pools]\npolicy = 'random'\n"
        + "[defaults.pools.timeouts]\nidle = '5s'\n"
        + "[defaults.listeners.timeouts]\nidle = '6s'\n"
        + "[defaults.listeners.limits]\nheaders = 9\n"
    )
    config = parse(text).config

    assert config.pools["app"].policy == "random"
    assert config.pools["app"].timeouts.idle == seconds(5)
    assert config.pools["app"].timeouts.connect == seconds(2)
    assert config.listeners["web"].timeouts.idle == seconds(6)
    assert config.listeners["web"].limits.headers == 9


def test_defaults_have_mistakes_of_their_own():
    text = WEB + APP + "[defaults]\nchek = 1\n[defaults.pools]\nretries = {}\n"

    assert told(text) == [("key.unknown", "chek"), ("key.unknown", "retries")]
    assert told("defaults = 5\n" + WEB + APP) == [("type", "5")]
    assert told(WEB + APP + "[defaults]\npools = 3\n") == [("type", "3")]


def test_all_mistakes_are_told_in_the_order_of_the_text():
    text = 'worker = 1\n[listeners.web]\nbind = "x"\npool = "ap"\n[pools.app]\nbackends = []\n'

    assert told(text) == [
        ("key.unknown", "worker"),
        ("address.form", '"x"'),
        ("pool.unknown", '"ap"'),
        ("list.empty", "[]"),
    ]


def test_an_empty_file_lacks_listeners_and_pools():
    assert sorted(error.found for error in wrong("")) == [
        "the configuration has no `listeners`",
        "the configuration has no `pools`",
    ]


def test_what_is_missing_is_not_told_of_a_text_that_is_broken():
    codes = [code for code, _ in told("workers = \n")]

    assert codes == ["syntax"]


def test_mistakes_of_spelling_are_told_beside_a_broken_line():
    text = '[listeners.web]\nbnid = ":0"\npool = app\n[pools.app]\nbackends = ["a"]\nx = 1\n'
    codes = [code for code, _ in told(text)]

    assert codes == ["key.unknown", "syntax", "address.form"]


def test_what_is_no_toml_is_told_once():
    assert [code for code, _ in told("[listeners.größe]\n")] == ["syntax"]


def test_a_thousand_mistakes_are_enough():
    text = "".join(f"key{number} = 1\n" for number in range(3000))

    errors = wrong(text)
    assert len(errors) == 1001
    assert errors[-1].code == "errors.many"
