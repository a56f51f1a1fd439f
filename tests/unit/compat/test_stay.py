"""What an instance makes of changes of health; its life is shown in tests/wire/compat."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.compat.layout import NAME
from fairlead.compat.spec import parse_spec
from fairlead.compat.stay import Instance
from fairlead.errors import ReloadError


class Control:
    """A control loop that does at once what it is asked, or refuses."""

    def __init__(self, running):
        self.running = running
        self.refuses = False

    async def change(self, make):
        if self.refuses:
            raise ReloadError("stopping", "too late")
        self.running.use(make(self.running.loaded))


@pytest.fixture
def instance(table):
    """Makes instances, and runs something with them in an event loop."""

    def make(act, *words, spec=None, **options):
        running = table(*words, **options)._running

        async def run():
            control = Control(running)
            monitoring = parse_spec(spec, 5) if spec else None
            made = Instance(running, control, monitoring, lambda _: None)
            return await act(made)

        return asyncio.run(run())

    return make


def down(why):
    return {
        "event": "health",
        "pool": NAME,
        "backend": "10.0.0.1:80",
        "from": "suspect",
        "to": "down",
        "why": why,
    }


@pytest.mark.parametrize(
    ("options", "why", "latched"),
    [
        ({"autodisable": True}, "traffic: x", False),
        ({"autodisable": True, "strict": True}, "traffic: x", True),
        ({"autodisable": True, "strict": True, "spec": "connect"}, "check: x", False),
        ({"spec": "connect:noenable"}, "check: x", True),
        ({"spec": "connect:noenable"}, "traffic: x", False),
        ({"autodisable": True, "spec": "connect:noenable"}, "traffic: x", True),
    ],
)
def test_what_stays_out_until_somebody_enables_it(instance, options, why, latched):
    async def act(made):
        made._heard(down(why))
        return made.rows()[0].down

    assert instance(act, "10.0.0.1", **options) == latched


def test_traffics_trouble_is_looked_at_at_once(instance):
    async def act(made):
        made._heard({**down("traffic: x"), "to": "suspect"})
        return made._monitor._urgent

    assert instance(act, "10.0.0.1", spec="connect") == {"10.0.0.1:80"}


def test_news_of_others_are_nobodys(instance):
    async def act(made):
        made._heard({"event": "applied"})
        made._heard({**down("x"), "pool": "other"})
        made._heard({**down("x"), "backend": "10.0.0.9:80"})
        return [row.state for row in made.rows()]

    assert instance(act, "10.0.0.1") == ["ENA"]


def test_monitoring_is_switched(instance):
    async def act(made):
        before = made.monitoring
        made.set_monitoring(enabled=False)
        return before, made.monitoring

    assert instance(act, "10.0.0.1", spec="connect") == (True, False)
    assert instance(act, "10.0.0.1") == (None, None)


def test_a_kill_frees_the_port_and_lets_nobody_else_ask(instance):
    async def act(made):
        left = []
        made.on_kill = lambda: left.append(made._running.engine.addresses())
        return await made.kill(), left, made.killed.is_set()

    assert instance(act, "10.0.0.1") == (True, [[]], True)


def test_a_kill_that_comes_too_late_has_failed(instance):
    async def act(made):
        made._change.__self__.refuses = True
        return await made.kill(), made.killed.is_set()

    assert instance(act, "10.0.0.1") == (False, False)
