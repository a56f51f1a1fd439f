"""An engine that only remembers what it was told, and configurations to tell it."""

import contextlib
import json
import os
import threading
from datetime import timedelta

import pytest

from fairlead import _engine
from fairlead.config.loaded import LoadedConfig
from fairlead.config.parse import Parsed
from fairlead.config.resolve import Answer
from fairlead.config.schema import Backend, Check, Config, Listener, Pool
from fairlead.control.running import Running


class Seat:
    """A place at the desk of a policy where nothing is ever to do."""

    def __init__(self):
        self.gone = threading.Event()

    def take(self, timeout):
        return None if self.gone.wait(timeout) else []

    def leave(self):
        self.gone.set()


class FakeEngine:
    """The engine as control sees it. ``busy`` lists what can't be bound."""

    def __init__(self):
        self.plans = []
        self.busy = set()
        self.accepting = False
        self.reopened = 0
        self.stopped = []
        self.finishes = True
        self.first_checks = []
        self.checks = []
        self.seats = []
        self.played = []
        self.refuses = None
        self._states = {}
        self._events = []
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._asks = None
        self.about = self.stands_at = None
        self.heard_of = 0
        self.admin = None
        self.manager = None
        self.end = None
        self.wished = []

    @property
    def plan(self):
        return self.plans[-1]

    def apply(self, plan):
        value = json.loads(plan)
        problems = [
            {"listener": listener["name"], "bind": bind["tcp"], "problem": "address already in use"}
            for listener in value["listeners"]
            for bind in listener["bind"]
            if bind.get("tcp") in self.busy
        ]
        if problems:
            raise _engine.EngineError(json.dumps(problems))
        self.plans.append(value)
        for pool in value["pools"]:
            for backend in pool["backends"]:
                name = pool["name"], backend["address"]
                self._states.setdefault(name, [backend["state"], backend["weight"]])
        self.emit(event="applied", listeners=1, pools=1, backends=1)

    def addresses(self):
        return [(row["name"], row["bind"][0].get("tcp", "")) for row in self.plan["listeners"]]

    def wait_first_checks(self, timeout):
        self.first_checks.append(timeout)
        return True

    def start_accepting(self):
        self.accepting = True

    def status(self):
        pools = [
            {
                "name": pool["name"],
                "policy": "round-robin",
                "backends": [self._row(pool["name"], row) for row in pool["backends"]],
            }
            for pool in self.plan["pools"]
        ]
        return json.dumps({"uptime_seconds": 1.0, "workers": 1, "pools": pools}).encode()

    def pool_status(self, name):
        pools = json.loads(self.status())["pools"]
        return next((json.dumps(pool).encode() for pool in pools if pool["name"] == name), None)

    def metrics(self, openmetrics):
        return b"# openmetrics\n" if openmetrics else b"# plain\n"

    def _row(self, pool, row):
        state, weight = self._states[pool, row["address"]]
        return {"address": row["address"], "state": state, "weight": weight, "health": "healthy"}

    def set_state(self, pool, backend, state):
        changed = self._states[pool, backend][0] != state
        self._states[pool, backend][0] = state
        return changed

    def set_weight(self, pool, backend, weight):
        changed = self._states[pool, backend][1] != weight
        self._states[pool, backend][1] = weight
        return changed

    def stand_in(self, number, about):
        self.stands_at, self.about = number, json.loads(about)
        self._asks = os.eventfd(0, os.EFD_NONBLOCK)
        return self._asks

    def heed_signals(self, timeout, manager):
        self.end, self.manager = (timeout, []), manager
        self._signals, heeded = os.pipe()
        os.set_blocking(heeded, False)
        return heeded

    def pass_signals_on(self, number):
        to = os.dup(number)

        def live():
            while True:
                os.write(to, os.read(self._signals, 1))

        threading.Thread(target=live, daemon=True).start()

    def heard(self):
        self.heard_of += 1

    def prepare_end(self, timeout, files):
        self.end = timeout, files

    def stand_at(self, number, hosts):
        self.admin = number, hosts

    def ask(self):
        os.eventfd_write(self._asks, 1)

    def present(self, about):
        if self._asks is not None:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._asks)
        self.about = json.loads(about)
        # What was wished is in force already.
        wished, self.wished = self.wished, []
        return wished

    def wish_while_away(self, pool, backend, state=None, weight=None):
        """What the stand-in does when an operator asks."""
        if state is not None:
            self.set_state(pool, backend, state)
        if weight is not None:
            self.set_weight(pool, backend, weight)
        self.wished.append((pool, backend, state, weight))

    def report_check(self, pool, backend, passed, what):
        self.checks.append((pool, backend, passed, what))

    def play_chaos(self, **wanted):
        if self.refuses is not None:
            raise self.refuses
        self.played.append({**wanted, "running": True})

    def end_chaos(self):
        if self.played:
            self.played[-1]["running"] = False
        return bool(self.played)

    def chaos(self):
        return json.dumps(self.played[-1]).encode() if self.played else None

    def reopen_log(self):
        self.reopened += 1

    def sit_down(self, pool, picks):
        if pool not in {row["name"] for row in self.plan["pools"]}:
            raise KeyError(pool)
        seat = Seat()
        self.seats.append((pool, picks, seat))
        return seat

    def event_fd(self):
        return self._fd

    def emit(self, **event):
        self._events.append(json.dumps({"time": "2026-11-21T12:00:00.000Z", **event}).encode())
        os.eventfd_write(self._fd, 1)

    def take_events(self):
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return []
        events, self._events = self._events, []
        return events

    def stop(self, timeout):
        self.stopped.append(timeout)
        return self.finishes


def load(*backends, resolver=None, check="none", command=None, listen="127.0.0.1:8080", **rest):
    """A configuration with one listener ``web`` and one pool ``app``."""
    policy = rest.pop("policy", "round-robin")
    rows = tuple(row if isinstance(row, Backend) else Backend(row) for row in backends)
    checking = Check(
        type=check,
        command=command,
        interval=timedelta(seconds=0.05),
        timeout=timedelta(seconds=1),
    )
    config = Config(
        listeners={"web": Listener(bind=(listen,), pool="app")},
        pools={"app": Pool(backends=rows, check=checking, policy=policy)},
        **rest,
    )
    return LoadedConfig(Parsed(config, {}), "test.toml", resolver or nowhere, {})


def nowhere(name):
    """A resolver that knows nobody."""
    return Answer((), f"{name} is unknown")


@pytest.fixture
def engine():
    fake = FakeEngine()
    yield fake
    os.close(fake.event_fd())


@pytest.fixture
def loaded():
    return load


@pytest.fixture
def running(engine):
    return Running(engine, load("10.0.0.1:80", "10.0.0.2:80"))
