from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from fairlead.config import schema
from fairlead.config.table import keys
from harness.texts import APP, WEB, parse, told

STRUCTS = [
    schema.AccessLog,
    schema.Admin,
    schema.Config,
    schema.DefaultTimeouts,
    schema.Defaults,
    schema.ListenerDefaults,
    schema.PoolDefaults,
]


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_key_says_what_it_means(struct):
    for name, key in keys(struct).items():
        assert key.text.endswith((".", ":")), name
        assert struct.__doc__


def test_defaults_hold_every_table_of_pools_and_listeners():
    tables = {"check", "timeouts", "retry", "limits"}

    assert tables <= set(schema.Defaults.__struct_fields__)
    both = {*schema.PoolDefaults.__struct_fields__, *schema.ListenerDefaults.__struct_fields__}
    assert set(schema.Defaults.__struct_fields__) == both


def test_default_timeouts_are_those_of_pools_and_listeners():
    both = {
        *schema.PoolTimeouts.__struct_fields__,
        *schema.ListenerTimeouts.__struct_fields__,
    }

    assert set(schema.DefaultTimeouts.__struct_fields__) == both


def test_the_file_needs_listeners_and_pools_only():
    config = schema.Config(listeners={}, pools={})

    assert config.workers == 0
    assert config.shutdown_timeout == timedelta(seconds=30)
    assert config.admin is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"-"', schema.AccessLog(to="-")),
        ('{ to = "/a" }', schema.AccessLog(to="/a")),
        ('{ to = "/a", format = "combined" }', schema.AccessLog(to="/a", format="combined")),
    ],
)
def test_an_access_log_is_a_text_or_a_table(written, read):
    assert parse(f"access_log = {written}\n" + WEB + APP).config.access_log == read


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ('""', "text.empty"),
        ("true", "type"),
        ("{}", "key.missing"),
        ('{ to = "-", format = "jsno" }', "value.unknown"),
        ('{ to = "-", fields = [] }', "unavailable"),
    ],
)
def test_mistakes_of_access_logs(written, code):
    assert [error for error, _ in told(f"access_log = {written}\n" + WEB + APP)] == [code]


def test_configurations_are_values():
    one = schema.Config(listeners={}, pools={})

    assert one == schema.Config(listeners={}, pools={})
    with pytest.raises(AttributeError):
        one.workers = 3  # type: ignore[misc]
    assert msgspec.structs.replace(one, workers=3).workers == 3
