"""A balancer before some backends."""

import pytest

from fairlead import Config, ConfigErrors
from fairlead.testing import FakeBackend, balancer_before


def test_it_stands_before_its_backends_and_is_not_started_yet():
    with FakeBackend("one") as one, FakeBackend("two") as two:
        balancer = balancer_before(one, two)
        with pytest.raises(RuntimeError, match="not running"):
            _ = balancer.address
        with balancer:
            rows = balancer.status().pool("app").backends
            assert [row.address for row in rows] == [one.address, two.address]


def test_a_configuration_may_be_given_instead():
    with FakeBackend("one") as one:
        text = f'[listeners.a]\nbind = "127.0.0.1:0"\npool = "b"\n[pools.b]\nbackends = ["{one.address}"]'
        for given in (text, Config.from_toml(text)):
            with balancer_before(given) as balancer:
                assert balancer.status().pools[0].name == "b"


def test_nothing_to_stand_before_is_an_error():
    with pytest.raises(ConfigErrors):
        balancer_before()
