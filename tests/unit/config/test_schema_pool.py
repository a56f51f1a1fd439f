from __future__ import annotations

from datetime import timedelta

import pytest

from fairlead.config import schema_pool as schema
from fairlead.config.table import keys
from harness.texts import APP, WEB, parse, told, wrong


@pytest.mark.parametrize(
    "struct",
    [
        schema.Check,
        schema.Group,
        schema.Pool,
        schema.PoolTimeouts,
        schema.Retry,
    ],
)
def test_every_key_says_what_it_means(struct):
    for name, key in keys(struct).items():
        assert key.text.endswith("."), name


def test_the_defaults_are_those_of_the_interface():
    pool = parse(WEB + APP).config.pools["app"]

    assert (pool.policy, pool.hash_on) == ("round-robin", "source-ip")
    assert (pool.check.type, pool.check.path, pool.check.method) == ("tcp", "/", "GET")
    assert pool.check.expect_status == ((200, 399),)
    assert (pool.check.interval, pool.check.timeout) == (
        timedelta(seconds=2),
        timedelta(seconds=1),
    )
    assert (pool.check.rise, pool.check.fall) == (2, 3)
    assert pool.timeouts.connect == timedelta(seconds=1)
    assert pool.timeouts.response == pool.timeouts.idle == timedelta(seconds=30)
    assert pool.timeouts.keepalive == timedelta(seconds=60)
    assert (pool.retry.attempts, pool.retry.same_backend) == (3, 1)
    assert (pool.retry.delay, pool.retry.hedge, pool.retry.budget) == (timedelta(0), "auto", 0.02)


def test_in_doubt_probes_come_faster_but_never_slower():
    assert schema.Check().interval_in_doubt == timedelta(milliseconds=500)
    assert schema.Check(interval=timedelta(milliseconds=100)).interval_in_doubt == timedelta(
        milliseconds=100
    )
    assert schema.Check(fast_interval=timedelta(seconds=1)).interval_in_doubt == timedelta(
        seconds=1
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('policy = "least-conn"', "value.unknown"),
        ('policy = "mine:"', "value.unknown"),
        ('policy = "mine:a b"', "value.unknown"),
        ('policy_timeout = "50ms"', "policy.key"),
        ('policy = "mine:Cheapest"\npolicy_timeout = "0ms"', "duration.range"),
        ('policy = "mine:Cheapest"\nbody_prefix = "1MiB"', "size.range"),
        ('check = { type = "python" }', "key.missing"),
        ('check = { type = "python", function = "mine" }', "python.form"),
        ('check = { type = "http", function = "mine:is_well" }', "check.key"),
        ('source = "app1"', "address.form"),
        ('check = { type = "grpc" }', "unavailable"),
        ('check = { type = "redis" }', "unavailable"),
        ('check = { type = "postgres" }', "unavailable"),
        ('check = { type = "htpp" }', "value.unknown"),
        ("check = { rise = 0 }", "number.range"),
        ('check = { interval = "0s" }', "duration.range"),
        ('check = { type = "http", expect_status = "2xx" }', "status.form"),
        ("retry = { attempts = 65 }", "number.range"),
        ("retry = { attempts = 0 }", "number.range"),
        ('retry = { hedge = "on" }', "value.unknown"),
        ('retry = { budget = "2" }', "share.form"),
        ('retry = { delay = "-1s" }', "duration.form"),
        ('timeouts = { connect = "0ms" }', "duration.range"),
        ("timeouts = { conect = 1 }", "key.unknown"),
    ],
)
def test_mistakes_of_pools(line, code):
    assert [error for error, _ in told(WEB + APP + line + "\n")] == [code]


def test_no_delay_is_a_delay():
    assert parse(WEB + APP + 'retry = { delay = "0ms" }\n').config.pools["app"].retry.delay == (
        timedelta(0)
    )


def test_a_policy_and_a_check_may_be_named_in_python():
    text = (
        'policy = "my.policies:Cheapest"\npolicy_timeout = "50ms"\nbody_prefix = "4KiB"\n'
        'check = { type = "python", function = "my.checks:is_well" }\n'
    )
    pool = parse(WEB + APP + text).config.pools["app"]

    assert (pool.policy, pool.body_prefix) == ("my.policies:Cheapest", 4096)
    assert pool.policy_timeout == timedelta(milliseconds=50)
    assert (pool.check.type, pool.check.function) == ("python", "my.checks:is_well")


def test_the_name_of_a_file_is_not_the_name_of_a_function():
    for name, hint in [
        ("./mine.py:is_well", None),
        ("mine.is_well", 'write "mine:is_well"'),
        ("my-checks.py:is_well", "name the module, not its file"),
    ]:
        text = f'check = {{ type = "python", function = "{name}" }}\n'
        [error] = wrong(WEB + APP + text)

        assert error.code == "python.form"
        assert hint is None or error.hint == hint
