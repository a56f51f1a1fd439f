from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.suggest import nearest

KEYS = ["backends", "check", "policy", "retry", "timeouts", "bind", "pool", "pools"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("bakcends", "backends"),
        ("backend", "backends"),
        ("Backends", "backends"),
        ("polcy", "policy"),
        ("bnid", "bind"),
        ("timeout", "timeouts"),
        ("chekc", "check"),
        ("pol", "pool"),
        ("time", "timeouts"),
        ("banana", None),
        ("", None),
        ("x" * 101, None),
    ],
)
def test_the_nearest_name_is_found_if_it_is_near(name, meant):
    assert nearest(name, KEYS) == meant


def test_dashes_and_underscores_are_one():
    assert nearest("hash-on", ["hash_on"]) == "hash_on"


def test_an_abbreviation_of_two_names_is_neither():
    assert nearest("serv", ["service-one", "service-two"]) is None


@given(st.text(min_size=1, max_size=20))
def test_a_name_is_nearest_to_itself(name):
    assert nearest(name, ["backends", name]) in (name, "backends")
    assert nearest("backends", [name, "backends"]) in (name, "backends")


def test_a_thousand_similar_names_are_no_trouble():
    known = [f"application-pool-{number:04}" for number in range(1000)]
    start = time.perf_counter()

    assert nearest("application-pool-0xyz", known) is not None
    assert time.perf_counter() - start < 0.5
