from __future__ import annotations

from datetime import timedelta

import pytest

from fairlead.config import schema_listener as schema
from fairlead.config.table import keys
from harness.texts import APP, WEB, parse, told


@pytest.mark.parametrize(
    "struct", [schema.Limits, schema.Listener, schema.ListenerTimeouts, schema.Route]
)
def test_every_key_says_what_it_means(struct):
    for name, key in keys(struct).items():
        assert key.text.endswith((".", ";")), name


def test_the_defaults_are_those_of_the_interface():
    listener = parse(WEB + APP).config.listeners["web"]

    assert listener.protocol == "http"
    assert listener.timeouts.head == timedelta(seconds=10)
    assert listener.timeouts.body == timedelta(seconds=30)
    assert listener.timeouts.tunnel == timedelta(hours=1)
    assert listener.limits == schema.Limits(head=65536, headers=128, body=None)
    assert listener.trusted_proxies == ()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"X-Beta"', ("x-beta",)),
        ('"X-Beta: 1"', ("x-beta: 1",)),
        ('["X-Beta: 1", "X-User"]', ("x-beta: 1", "x-user")),
        ('{ X-Beta = "1", X-User = "*" }', ("x-beta: 1", "x-user")),
    ],
)
def test_headers_of_a_route_are_spelled_in_several_ways(written, read):
    route = f'[[listeners.web.routes]]\nheader = {written}\npool = "app"\n'

    assert parse(WEB + route + APP).config.listeners["web"].routes[0].header == read


def test_what_is_no_header_is_told():
    route = '[[listeners.web.routes]]\nheader = {}\npool = "app"\n'

    assert told(WEB + route.format("{ X-Beta = 1 }") + APP) == [("type", "1")]
    assert told(WEB + route.format('{ "a b" = "1" }') + APP) == [("header.form", '"a b"')]
    assert told(WEB + route.format("3") + APP) == [("type", "3")]


def test_a_name_in_via_is_a_token():
    assert parse(WEB + 'via = "edge-1"\n' + APP).config.listeners["web"].via == "edge-1"
    assert told(WEB + 'via = "a b"\n' + APP) == [("via.form", '"a b"')]


def test_one_value_or_a_list():
    text = WEB + (
        'trusted_proxies = "10.0.0.0/8"\n'
        '[[listeners.web.routes]]\nmethod = ["get", "HEAD"]\npool = "app"\n'
    )
    listener = parse(text + APP).config.listeners["web"]

    assert listener.trusted_proxies == ("10.0.0.0/8",)
    assert listener.routes[0].method == ("GET", "HEAD")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('protocol = "https"', "unavailable"),
        ('protocol = "htpp"', "value.unknown"),
        ("tls = {}", "unavailable"),
        ('access_log = "-"', "unavailable"),
        ("timeouts = 5", "type"),
        ('limits = { head = "1B" }', "size.range"),
        ("limits = { headers = 0 }", "number.range"),
        ('limits = { body = "no" }', "size.form"),
        ("limits = { connections = 0 }", "number.range"),
        ('trusted_proxies = ["10.0.0.1/8"]', "network.form"),
        ("routes = {}", "type"),
        ("routes = 3", "type"),
    ],
)
def test_mistakes_of_listeners(line, code):
    assert [error for error, _ in told(WEB + line + "\n" + APP)] == [code]
