"""Faults on purpose: what may be asked for, and who may ask."""

import json

import pytest

from fairlead import _engine
from fairlead.config.schema import Chaos
from fairlead.control import chaos
from fairlead.control.http import ApiError

LEAST = {"pool": "app", "backend": "10.0.0.1:80", "fault": "drop"}


def refused(call, *arguments):
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value


def read(**more):
    return chaos.read(json.dumps({**LEAST, **more}).encode())


def test_what_is_left_out_has_a_default():
    wanted = read()
    assert (wanted.share, wanted.seconds, wanted.delay, wanted.checks) == (1.0, 30.0, 2.0, False)
    wanted = read(share=0.1, seconds=5, delay_seconds=0.5, checks=True)
    assert (wanted.share, wanted.seconds, wanted.delay, wanted.checks) == (0.1, 5, 0.5, True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000])
def test_what_is_no_object_is_refused(body):
    assert refused(chaos.read, body).code == "bad_json"


def test_an_unknown_field_suggests_the_nearest():
    error = refused(chaos.read, json.dumps({**LEAST, "second": 1}).encode())
    assert (error.code, error.hint) == ("unknown_field", "did you mean `seconds`?")
    error = refused(chaos.read, b'{"xyz": 1}')
    assert error.hint.startswith("known: pool, backend, fault")


@pytest.mark.parametrize(
    "more",
    [
        {"fault": "flood"},
        {"pool": 1},
        {"share": 0},
        {"share": 1.1},
        {"share": "10%"},
        {"seconds": -1},
        {"seconds": 3601},
        {"seconds": True},
        {"delay_seconds": True},
        {"delay_seconds": 90},
        {"checks": "yes"},
    ],
)
def test_a_value_that_makes_no_sense_is_refused(more):
    assert refused(lambda: read(**more)).code == "bad_value"


def test_without_leave_nothing_is_played(running, engine):
    error = refused(chaos.play, running, read())
    assert (error.status, error.code) == (403, "chaos_disabled")
    assert "enabled = true" in error.hint
    assert engine.played == []


def test_what_is_allowed_goes_to_the_engine(running, engine, loaded):
    running.loaded = loaded("10.0.0.1:80", chaos=Chaos(enabled=True))
    assert chaos.report(running) == {"chaos": None}
    assert chaos.play(running, read(seconds=5))["chaos"]["fault"] == "drop"
    assert engine.played[0]["seconds"] == 5
    assert chaos.end(running)["chaos"]["running"] is False


def test_what_the_engine_refuses_is_told_with_what_to_do(running, engine, loaded):
    running.loaded = loaded("10.0.0.1:80", chaos=Chaos(enabled=True))
    engine.refuses = _engine.EngineError("no_healthy_other", "no other is healthy")
    error = refused(chaos.play, running, read())
    assert (error.status, error.code, str(error)) == (
        409,
        "no_healthy_other",
        "no other is healthy",
    )
    assert "another one" in error.hint
    engine.refuses = _engine.EngineError("unknown_backend", "no backend")
    assert refused(chaos.play, running, read()).status == 404


def test_a_configuration_that_takes_it_back_ends_it(running, engine, loaded):
    running.loaded = loaded("10.0.0.1:80", chaos=Chaos(enabled=True))
    running.start()
    chaos.play(running, read())
    running.use(loaded("10.0.0.2:80", chaos=Chaos(enabled=True)))
    assert chaos.report(running)["chaos"]["running"] is True
    running.use(loaded("10.0.0.2:80"))
    assert chaos.report(running)["chaos"]["running"] is False
