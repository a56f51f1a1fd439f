from __future__ import annotations

import pytest

from fairlead.config.schema_backend import Backend
from fairlead.config.table import keys
from harness.texts import WEB, parse, told, wrong


def test_every_key_says_what_it_means():
    for name, key in keys(Backend).items():
        assert key.text.endswith("."), name


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"a:1"', Backend("a:1")),
        ('"http://a:1"', Backend("a:1")),
        ('"a:1*3"', Backend("a:1", 3)),
        ('"unix:/run/a"', Backend("unix:/run/a")),
        ('"unix:/run/a,b*3"', Backend("unix:/run/a,b", 3)),
        ('{ address = "unix:/run/a*3" }', Backend("unix:/run/a*3")),
        ('{ address = "a:1" }', Backend("a:1")),
        (
            '{ address = "a:1", weight = 0, group = 2, max_connections = 9, state = "draining" }',
            Backend("a:1", 0, 2, 9, "draining"),
        ),
    ],
)
def test_backends_are_texts_or_tables(written, read):
    text = WEB + f"[pools.app]\nbackends = [{written}]\n"

    assert parse(text).config.pools["app"].backends == (read,)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("5", "type"),
        ('"a"', "address.form"),
        ('"a:1,b:1"', "address.form"),
        ('"a:1*900"', "weight.range"),
        ('"https://a:1"', "address.scheme"),
        ("{}", "key.missing"),
        ('{ address = "a:1*3" }', "address.form"),
        ('{ address = "a:1", weight = -1 }', "number.range"),
        ('{ address = "a:1", weight = 257 }', "number.range"),
        ('{ address = "a:1", weight = "3" }', "type"),
        ('{ address = "a:1", group = 70000 }', "number.range"),
        ('{ address = "a:1", max_connections = 0 }', "number.range"),
        ('{ address = "a:1", state = "off" }', "value.unknown"),
        ('{ adress = "a:1", address = "a:1" }', "key.unknown"),
    ],
)
def test_mistakes_of_backends(written, code):
    text = WEB + f"[pools.app]\nbackends = [{written}]\n"

    assert [error for error, _ in told(text)] == [code]


def test_a_weight_at_the_end_of_a_tables_address_gets_its_own_key_as_a_hint():
    [error] = wrong(WEB + '[pools.app]\nbackends = [{ address = "a:1*3" }]\n')

    assert error.hint == 'write { address = "a:1", weight = 3 }'
