"""Reloads: all of it or nothing, one at a time."""

import asyncio
import json

import pytest

from fairlead.control.reload import Reloader, ReloadError
from fairlead.errors import ConfigError, ConfigErrors, EngineError


class Prepared:
    """What lies outside the engine: remembers how each preparation ended."""

    def __init__(self):
        self.ends = []
        self.failure = None

    async def __call__(self, _):
        if self.failure:
            raise self.failure
        return self.ends.append


@pytest.fixture
def prepared():
    return Prepared()


def untold(kind, **fields):
    raise AssertionError((kind, fields))


def reload(running, load, prepared):
    return asyncio.run(Reloader(running, load, prepared, untold).reload())


def test_steps_are_told_and_the_new_plan_is_in_force(running, engine, loaded, prepared):
    running.start()
    steps = reload(running, lambda: loaded("10.0.0.1:80", "10.0.0.3:80"), prepared)
    assert steps == ["remove backend app/10.0.0.2:80", "add backend app/10.0.0.3:80"]
    assert [row["address"] for row in engine.plan["pools"][0]["backends"]][1] == "10.0.0.3:80"
    assert prepared.ends == [True]


def test_nothing_new_is_no_step(running, loaded, prepared):
    running.start()
    assert reload(running, lambda: loaded("10.0.0.1:80", "10.0.0.2:80"), prepared) == []


def test_what_takes_a_restart_is_told(running, loaded, prepared):
    running.start()
    steps = reload(running, lambda: loaded("10.0.0.1:80", "10.0.0.2:80", workers=3), prepared)
    assert steps == ["workers: the new number counts from the next start on"]
    steps = reload(running, lambda: loaded("10.0.0.1:80", "10.0.0.2:80", io="epoll"), prepared)
    assert "io: how the kernel is called is decided at the start, and stays so" in steps


def test_a_wrong_configuration_changes_nothing_and_is_told_in_full(running, engine, prepared):
    def load():
        raise ConfigErrors([ConfigError("x", "`y` is wrong", "z", None)])

    running.start()
    with pytest.raises(ReloadError) as caught:
        reload(running, load, prepared)
    assert caught.value.code == "config"
    assert "`y` is wrong" in str(caught.value)
    assert caught.value.hint == "the old configuration stays in force"
    assert len(engine.plans) == 1
    event = json.loads(running.events.after(0)[0][-1])
    assert event["event"] == "reload_failed"


def test_what_cannot_be_bound_changes_nothing(running, engine, loaded, prepared):
    running.start()
    engine.busy = {"127.0.0.1:9999"}
    with pytest.raises(ReloadError) as caught:
        reload(running, lambda: loaded("10.0.0.1:80", listen="127.0.0.1:9999"), prepared)
    assert caught.value.code == "bind"
    assert running.loaded.value.listeners[0].bind[0].tcp == "127.0.0.1:8080"
    assert prepared.ends == [False]


def test_what_cannot_be_prepared_does_not_reach_the_engine(running, engine, loaded, prepared):
    running.start()
    prepared.failure = EngineError("admin: can't listen")
    with pytest.raises(ReloadError, match="admin"):
        reload(running, lambda: loaded("10.0.0.9:80"), prepared)
    assert len(engine.plans) == 1


def test_there_is_no_reload_during_a_stop(running, loaded, prepared):
    running.start()
    running.stopping = True
    with pytest.raises(ReloadError, match="stopping"):
        reload(running, lambda: loaded("10.0.0.9:80"), prepared)


def test_resolved_names_are_not_used_over_a_reload_that_came_between(running, loaded, prepared):
    running.start()
    before = running.loaded

    async def main():
        reloader = Reloader(running, lambda: loaded("10.0.0.7:80"), prepared, untold)
        await reloader.reload()
        return await reloader.use_resolved(before, loaded("10.0.0.8:80"))

    assert asyncio.run(main()) is False
    assert running.loaded.value.pools[0].backends[0].address == "10.0.0.7:80"


def test_resolved_names_are_used_when_nothing_came_between(running, loaded, prepared):
    running.start()
    after = loaded("10.0.0.8:80")

    async def main():
        reloader = Reloader(running, lambda: None, prepared, untold)
        return await reloader.use_resolved(running.loaded, after)

    assert asyncio.run(main()) is True
    assert running.loaded is after
