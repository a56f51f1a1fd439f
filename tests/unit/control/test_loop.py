"""The control loop: what happens beside the traffic."""

import asyncio
import json

import pytest

from fairlead import tasks
from fairlead.config.resolve import Answer
from fairlead.config.schema import Admin
from fairlead.control import paths
from fairlead.control.http import ApiError
from fairlead.control.loop import ControlLoop
from fairlead.control.running import Running
from fairlead.discovery import dns


def run(running, play, load=None, control=None):
    """Run a control loop around `play`; the lines that it said."""
    said = []

    async def main():
        loop = ControlLoop(running, load or (lambda: running.loaded), said.append)
        running.start()
        await loop.start(control, None)
        await play(loop)
        if not loop.stopping:
            await loop.stop("the test is over")

    asyncio.run(main())
    return said


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.005)


def kinds(running):
    return [json.loads(event)["event"] for event in running.events.after(0)[0]]


def test_events_of_the_engine_are_kept_and_said(running, engine):
    async def play(_):
        engine.emit(
            event="health",
            pool="app",
            backend="10.0.0.1:80",
            why="check: connect refused",
            **{"from": "healthy", "to": "suspect"},
        )
        await until(lambda: running.events.last_id == 2)

    said = run(running, play)
    assert said[0] == "pool app backend 10.0.0.1:80 healthy -> suspect: check: connect refused"
    assert kinds(running)[:2] == ["applied", "health"]


def test_a_stop_gives_connections_their_time(running, engine):
    async def play(loop):
        assert await loop.stop("SIGTERM") is True

    run(running, play)
    assert engine.stopped == [30.0]
    assert "stopping" in kinds(running)


def test_a_reload_over_the_api_answers_what_went_wrong(running, engine, loaded):
    engine.busy = {"127.0.0.1:9999"}

    async def play(loop):
        with pytest.raises(ApiError) as caught:
            await loop.reload()
        assert (caught.value.status, caught.value.code) == (409, "bind")

    said = run(running, play, lambda: loaded("10.0.0.1:80", listen="127.0.0.1:9999"))
    assert said[0].startswith("reload failed, the old configuration stays in force\nlistener `web`")


def test_a_reload_opens_the_access_log_anew_whatever_comes_of_it(running, engine, loaded):
    engine.busy = {"127.0.0.1:9999"}

    async def play(loop):
        with pytest.raises(ApiError):
            await loop.reload()
        assert engine.reopened == 1

    run(running, play, lambda: loaded("10.0.0.1:80", listen="127.0.0.1:9999"))


def test_a_reload_says_its_steps(running, loaded):
    async def play(loop):
        assert await loop.reload() == ["remove backend app/10.0.0.2:80"]

    said = run(running, play, lambda: loaded("10.0.0.1:80"))
    assert said == ["reload: remove backend app/10.0.0.2:80", "reloaded: 1 change"]


def test_command_checks_run_and_follow_the_configuration(engine, loaded):
    running = Running(engine, loaded("10.0.0.1:80", check="command", command="exit 0"))

    async def play(loop):
        await loop.first_checks()
        assert engine.checks[0] == ("app", "10.0.0.1:80", True, "exit status 0")
        await loop.reload()
        engine.checks.clear()
        await until(lambda: engine.checks)
        assert {check[1] for check in engine.checks} == {"10.0.0.5:80"}

    run(running, play, lambda: loaded("10.0.0.5:80", check="command", command="exit 0"))


def test_first_checks_are_not_waited_for_for_ever(engine, loaded):
    running = Running(engine, loaded("10.0.0.1:80", check="command", command="sleep 5"))

    async def play(loop):
        async with asyncio.timeout(1):
            await loop.first_checks()
        assert engine.checks == []

    run(running, play)


def test_names_that_move_are_followed(engine, loaded, monkeypatch):
    monkeypatch.setattr(dns, "_INTERVAL_SECONDS", 0.01)
    addresses = ["10.0.0.1"]
    config = loaded("app:80", resolver=lambda _: Answer(tuple(addresses)))
    running = Running(engine, config)

    async def play(_):
        addresses[:] = ["10.0.0.2"]
        await until(lambda: "resolved" in kinds(running))
        endpoints = engine.plan["pools"][0]["backends"][0]["endpoints"]
        assert endpoints == [{"tcp": "10.0.0.2:80"}]

    said = run(running, play)
    assert "pool app backend app:80 is at 10.0.0.1:80 -> 10.0.0.2:80" in said


def test_names_are_followed_on_after_a_fault(engine, loaded, monkeypatch):
    monkeypatch.setattr(dns, "_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    addresses = ["10.0.0.1"]
    running = Running(engine, loaded("app:80", resolver=lambda _: Answer(tuple(addresses))))
    apply, faults = engine.apply, [KeyError("app")]

    def apply_or_fail(plan):
        if faults:
            raise faults.pop()
        apply(plan)

    async def play(_):
        engine.apply = apply_or_fail
        addresses[:] = ["10.0.0.2"]
        await until(lambda: "resolved" in kinds(running))

    said = run(running, play)
    assert "a fault in fairlead, following names begins again: KeyError('app')" in said


def test_the_admin_address_follows_a_reload(running, loaded, short_path):
    def named(name):
        listen = None if name is None else Admin(listen=f"unix:{short_path}/{name}")
        return loaded("10.0.0.1:80", admin=listen)

    configurations = [named("a"), named("b"), named(None)]

    def files():
        return sorted(path.name for path in short_path.iterdir())

    async def play(loop):
        await loop.reload()
        assert files() == ["a"]
        await loop.reload()
        assert files() == ["b"]
        await loop.reload()
        assert files() == []

    run(running, play, lambda: configurations.pop(0))


def test_an_admin_address_that_is_taken_changes_nothing(running, engine, loaded, short_path):
    taken = paths.listen_admin(f"unix:{short_path}/a")

    async def play(loop):
        with pytest.raises(ApiError, match="admin: can't listen"):
            await loop.reload()

    run(running, play, lambda: loaded("10.0.0.9:80", admin=Admin(listen=f"unix:{short_path}/a")))
    paths.close(taken)
    assert len(engine.plans) == 1


def test_wishes_go_through(running, engine):
    async def play(loop):
        loop.set_backend("app", "10.0.0.1:80", "draining", None)
        pool = json.loads(loop.pool_status("app"))
        assert pool["backends"][0]["state"] == "draining"
        assert json.loads(await loop.status())["pools"] == [pool]
        assert loop.pool_names() == ["app"]

    run(running, play)


def test_what_was_wished_while_python_was_away_is_taken_over(running, engine, short_path):
    control = paths.listen_admin(f"unix:{short_path}/control")

    async def play(_):
        assert engine.stands_at == control.socket.fileno()
        engine.wish_while_away("app", "10.0.0.1:80", state="draining")
        engine.ask()
        await until(lambda: len(running.wishes) == 1)

    assert run(running, play, control=control) == []


def test_a_machine_without_room_for_a_stand_in_is_told(running, engine, short_path):
    control = paths.listen_admin(f"unix:{short_path}/control")

    def stand_in(*_):
        raise OSError(24, "Too many open files")

    async def play(_):
        engine.emit(event="health", pool="app", backend="10.0.0.1:80", why="check")
        await until(lambda: running.events.last_id == 2)

    engine.stand_in = stand_in
    said = run(running, play, control=control)
    assert said[0] == (
        "nobody answers at the control socket while Python is stuck: [Errno 24] Too many open files"
    )
