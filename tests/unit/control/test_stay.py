"""Signals, and the way from ready to the end."""

import asyncio
import os
import signal
import threading
import time

import pytest

from fairlead.control import paths
from fairlead.control import stay as module
from fairlead.control.running import Running
from fairlead.control.service import Manager
from fairlead.control.stay import Opened, stay


@pytest.fixture(autouse=True)
def _signals():
    before = {number: signal.getsignal(number) for number in module.CAUGHT}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run(opened, *, early=(), later=(), reload=None):
    """Stay, with signals that came early and some that come later; the lines said."""
    said = []

    def send():
        for number, wanted in later:
            while not any(wanted in line for line in said):
                time.sleep(0.005)
            os.kill(os.getpid(), number)

    sender = threading.Thread(target=send, daemon=True)

    async def main():
        sender.start()
        async with asyncio.timeout(10):
            await stay(opened, reload or (lambda: opened.running.loaded), said.append, list(early))

    asyncio.run(main())
    sender.join(5)
    return said


def opened(running, *, ready=True):
    running.start()
    return Opened(running, None, None, Manager({}), ready=ready)


def test_a_signal_that_came_early_is_not_lost(running, engine):
    said = run(opened(running), early=[signal.SIGTERM])
    assert said[-2:] == ["SIGTERM: finishing what is under way, taking nothing new", "stopped"]
    assert engine.stopped == [30.0]


def test_connections_that_had_to_be_cut_are_told(running, engine):
    engine.finishes = False
    assert "were cut" in run(opened(running), early=[signal.SIGINT])[-1]


def test_hup_reloads_and_goes_on(running, loaded):
    said = run(
        opened(running),
        early=[signal.SIGHUP],
        later=[(signal.SIGTERM, "reloaded")],
        reload=lambda: loaded("10.0.0.1:80"),
    )
    assert "reloaded: 1 change" in said


def test_a_reload_that_fails_by_a_fault_of_ours_ends_nothing(running):
    def load():
        raise ZeroDivisionError("oops")

    said = run(
        opened(running),
        early=[signal.SIGHUP],
        later=[(signal.SIGTERM, "reload failed")],
        reload=load,
    )
    assert any("oops" in line for line in said)
    assert said[-1] == "stopped"


def test_with_checks_in_python_ready_comes_after_the_first_of_them(engine, loaded):
    running = Running(engine, loaded("10.0.0.1:80", check="command", command="exit 0"))
    said = run(opened(running, ready=False), later=[(signal.SIGTERM, "ready")])
    assert engine.checks
    assert engine.accepting
    assert "ready" in said


def test_int_during_a_stop_ends_at_once(running, engine, monkeypatch):
    go, codes = threading.Event(), []
    engine.stop = lambda _: go.wait(10)

    def end(code):
        codes.append(code)
        go.set()

    monkeypatch.setattr(module.os, "_exit", end)
    run(
        opened(running),
        early=[signal.SIGTERM, signal.SIGTERM],
        later=[(signal.SIGINT, "finishing")],
    )
    assert codes == [130]


def test_the_engine_hears_of_signals_and_of_what_the_end_goes_by(running, engine, short_path):
    control = paths.listen_admin(f"unix:{short_path}/7.sock")
    running.start()
    opened = Opened(running, control, None, Manager({}), ready=True)
    run(opened, early=[signal.SIGHUP], later=[(signal.SIGTERM, "reloaded")])
    assert engine.heard_of == 2
    assert engine.end == (30.0, [str(control.path)])


@pytest.mark.parametrize("call", ["heed_signals", "pass_signals_on"])
def test_where_the_engine_cant_hear_of_signals_the_loop_does(running, engine, monkeypatch, call):
    def fail(*_):
        raise OSError("no descriptors")

    monkeypatch.setattr(engine, call, fail)
    running.start()
    opened = Opened(running, None, None, Manager({}), ready=False)
    said = run(opened, later=[(signal.SIGTERM, "ready")])
    assert "signals have to wait while Python is stuck: no descriptors" in said
    assert said[-1] == "stopped"


def test_the_engine_tells_health_at_the_admin_address(running, engine, short_path):
    admin = paths.listen_admin(f"unix:{short_path}/admin")
    number = admin.socket.fileno()
    running.start()
    said = run(Opened(running, None, admin, Manager({}), ready=True), early=[signal.SIGTERM])
    assert engine.admin == (number, [])
    assert not any("stuck" in line for line in said)


def test_where_it_cant_that_is_said(running, engine):
    def fail(*_):
        raise OSError("no descriptors")

    engine.stand_at = fail
    said = run(opened(running), early=[signal.SIGTERM])
    assert "nobody answers at the admin address while Python is stuck: no descriptors" in said
