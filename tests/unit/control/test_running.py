"""One running set-up, without an event loop."""

import json
import os
import threading

import pytest

from fairlead.config.schema import Backend
from fairlead.errors import EngineError

ONE = ("app", "10.0.0.1:80")


def test_nobody_is_let_in_before_the_first_checks(running, engine):
    running.start()
    assert not engine.accepting
    running.open()
    assert engine.accepting
    assert engine.first_checks == []


def test_the_wait_for_first_checks_is_bounded(running, engine, loaded):
    running.loaded = loaded("10.0.0.1:80", check="tcp")
    running.start()
    running.open()
    assert engine.first_checks == [0.15]


def test_status_says_whose_it_is(running):
    running.start()
    status = json.loads(running.status())
    assert status["pid"] == os.getpid()
    assert status["config"] == "test.toml"
    assert status["stopping"] is False
    assert status["version"]


def test_metrics_are_the_engines_and_our_own(running):
    running.start()
    text = running.metrics({"applied": 1}, openmetrics=True).decode()
    assert text.startswith("# openmetrics\n")
    assert 'fairlead_events_total{event="applied"} 1.0' in text


def test_wishes_hold_over_a_new_configuration(running, engine, loaded):
    running.start()
    running.set_backend(*ONE, "draining", 3)
    assert running.use(loaded("10.0.0.1:80", "10.0.0.9:80")) == []
    assert engine._states[ONE] == ["draining", 3]


def test_wishes_that_no_longer_fit_are_told(running, loaded):
    running.start()
    running.set_backend(*ONE, "disabled", None)
    (line,) = running.use(loaded(Backend("10.0.0.1:80", weight=9)))
    assert "was changed in the configuration" in line


def test_a_configuration_that_cannot_be_bound_changes_nothing(running, engine, loaded):
    running.start()
    before = running.loaded
    engine.busy = {"127.0.0.1:9999"}
    with pytest.raises(EngineError):
        running.use(loaded("10.0.0.3:80", listen="127.0.0.1:9999"))
    assert running.loaded is before
    assert len(engine.plans) == 1


def test_the_same_plan_is_not_applied_again(running, engine, loaded):
    running.start()
    running.use(loaded("10.0.0.1:80", "10.0.0.2:80"))
    assert len(engine.plans) == 1


def test_engine_events_go_to_the_log(running, engine):
    running.start()
    engine.emit(event="health", pool="app", backend="x", why="y", **{"from": "a", "to": "b"})
    assert [event.kind for event in running.take_events()] == ["applied", "health"]
    assert running.events.last_id == 2
    assert running.take_events() == []


def test_an_unknown_backend_is_a_key_error(running):
    running.start()
    with pytest.raises(KeyError):
        running.set_backend("app", "nobody:1", "draining", None)


def test_what_was_wished_while_python_was_away_is_taken_over(running, engine, loaded):
    running.start()
    running.stand_in(0)
    engine.wish_while_away(*ONE, state="draining")
    engine.wish_while_away(*ONE, weight=3)
    engine.wished.append(("app", "gone:1", "draining", None))
    running.take_over()
    assert engine.wished == []
    (line,) = running.use(loaded(Backend("10.0.0.1:80", weight=9)))
    assert "was changed in the configuration" in line, "so it was known"
    assert engine.about["pid"] == os.getpid()


def test_a_wish_is_younger_than_what_was_wished_while_python_was_away(running, engine, loaded):
    running.start()
    running.stand_in(0)
    engine.wish_while_away(*ONE, state="draining")
    running.set_backend(*ONE, "disabled", None)
    assert engine._states[ONE] == ["disabled", 1]
    assert running.use(loaded("10.0.0.1:80", "10.0.0.9:80")) == []
    assert engine._states[ONE] == ["disabled", 1]


@pytest.mark.parametrize("wish", [{"state": "enabled"}, {"weight": 1}])
def test_a_wish_while_python_is_away_in_the_middle_of_a_reload_is_the_last_word(
    running, engine, loaded, wish
):
    running.start()
    running.stand_in(0)
    running.set_backend(*ONE, "draining", 3)
    wanted = {"state": "draining", "weight": 3} | wish
    apply = engine.apply

    def apply_and_be_away(plan):
        apply(plan)
        engine.wish_while_away(*ONE, **wish)

    engine.apply = apply_and_be_away
    running.use(loaded("10.0.0.1:80", "10.0.0.9:80"))
    running.take_over()
    assert engine._states[ONE] == [wanted["state"], wanted["weight"]]


def test_a_wish_in_the_middle_of_a_reload_waits_its_turn(running, engine, loaded):
    """A reload is in another thread than whoever wishes."""
    running.start()
    for backend in ("10.0.0.1:80", "10.0.0.2:80"):
        running.set_backend("app", backend, "draining", None)
    came, threads = [], []
    set_state = engine.set_state

    def take_over():
        running.take_over()
        came.append("taken over")

    def set_state_while_another_asks(pool, backend, state):
        if not threads:
            engine.wish_while_away("app", "10.0.0.9:80", weight=5)
            threads.append(threading.Thread(target=take_over))
            threads[0].start()
            # Long enough for it to come in between, if it could.
            threads[0].join(0.1)
        came.append(backend)
        return set_state(pool, backend, state)

    engine.set_state = set_state_while_another_asks
    running.use(loaded("10.0.0.1:80", "10.0.0.2:80", "10.0.0.9:80"))
    threads[0].join(5)
    assert came == ["10.0.0.1:80", "10.0.0.2:80", "taken over"]
    assert engine._states["app", "10.0.0.9:80"] == ["enabled", 5]


def test_a_sign_of_life_costs_nothing_more_when_nothing_was_wished(running, monkeypatch):
    running.start()
    monkeypatch.setattr("fairlead.control.running._configured", None)
    running.take_over()
