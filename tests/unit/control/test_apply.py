"""A plan's way into the engine, and the text when it doesn't fit."""

import json

import pytest

from fairlead.control.apply import apply, hint_for, readable
from fairlead.errors import EngineError


def test_every_listener_that_cannot_be_bound_is_named(engine, loaded):
    engine.busy = {"127.0.0.1:8080"}
    with pytest.raises(EngineError) as caught:
        apply(engine, loaded("10.0.0.1:80").plan)
    assert str(caught.value) == (
        "listener `web` can't listen on 127.0.0.1:8080: address already in use"
    )
    assert "ss -ltnp" in caught.value.hint
    assert engine.plans == []


def test_a_plan_is_handed_over_as_it_is(engine, loaded):
    config = loaded("10.0.0.1:80")
    apply(engine, config.plan)
    assert engine.plan == json.loads(config.plan)


def test_words_that_are_no_list_stay_as_they_are():
    assert str(readable("regex does not compile")) == "regex does not compile"
    assert str(readable("[1]")) == "[1]"


def test_hints_follow_the_problem():
    assert "CAP_NET_BIND_SERVICE" in hint_for("Permission denied")
    assert hint_for("something new") is None
