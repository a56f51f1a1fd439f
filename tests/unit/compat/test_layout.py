from __future__ import annotations

import asyncio

import pytest

from fairlead import _engine
from fairlead.compat.arguments import Arguments, Keepalive
from fairlead.compat.channels import parse_channels
from fairlead.compat.layout import GROUP_PARKED, Layout, Place, Settings, Shape
from fairlead.compat.table import first_shape
from fairlead.config import plan as plans
from fairlead.config.loaded import load_text
from fairlead.config.resolve import Answer
from fairlead.discovery import dns
from fairlead.errors import ConfigErrors


def made(*words, bind=None, port=8080, rise=None, fall=None, **options) -> Layout:
    settings = Settings(port, bind, Arguments(**options), rise, fall)
    return Layout(settings, first_shape(parse_channels(words, 80)))


def pool(*words, **options) -> plans.PoolPlan:
    return made(*words, **options).value.pools[0]


def listener(**options) -> plans.ListenerPlan:
    return made("10.0.0.1", **options).value.listeners[0]


def test_where_it_listens():
    assert listener().bind == (plans.AnyAddress(8080),)
    assert listener(bind="::1").bind == (plans.Tcp("[::1]:8080"),)
    assert listener(bind="10.0.0.9").bind == (plans.Tcp("10.0.0.9:8080"),)


def test_what_the_machine_has_bounds_it_like_any_other():
    text = "listeners.a = {bind = ':1', pool = 'a'}\npools.a.backends = ['10.0.0.1:80']"

    assert made("10.0.0.1").value.limits == load_text(text, _engine).value.limits


def test_channels_keep_their_order_and_their_limits():
    backends = pool("10.0.0.1", "10.0.0.1:81:9", "!", "10.0.0.1").backends

    assert [(row.address, row.group, row.max_connections) for row in backends] == [
        ("10.0.0.1:80", 0, None),
        ("10.0.0.1:81", 0, 9),
        ("10.0.0.1:80#2", 1, None),
    ]
    assert [row.endpoints for row in backends][2] == (plans.Tcp("10.0.0.1:80"),)


def test_hash_groups_have_their_policy():
    both = pool("10.0.0.1", "%", "10.0.0.2", "!", "10.0.0.3", "%")

    assert both.policy == "round-robin"
    assert both.groups == (plans.GroupPlan(0, "hash"), plans.GroupPlan(2, "hash"))
    assert both.hash_table == "fixed"
    assert pool("10.0.0.1", "%", hash_failover=True).hash_table == "modulo"


def test_times_and_addresses():
    options = pool("10.0.0.1", connect_seconds=0.25, source="10.0.0.9")

    assert (options.timeouts.connect, options.source) == (250, "10.0.0.9")
    assert listener(idle_seconds=90).timeouts.idle == 90_000
    assert listener().timeouts.idle > 10 * 365 * 86_400_000, "never"


def test_keepalive_on_both_sides():
    client, channel = Keepalive(60, 10, 5), Keepalive(30, 5, 3)
    options = {"client_keepalive": client, "channel_keepalive": channel}

    assert listener(**options).keepalive == plans.Keepalive(60_000, 10_000, 5)
    assert pool("10.0.0.1", **options).keepalive == plans.Keepalive(30_000, 5_000, 3)
    assert listener().keepalive is None


@pytest.mark.parametrize(
    ("options", "check"),
    [
        ({}, ("none", 1, 3)),
        ({"autodisable": True}, ("none", 1, 1)),
        ({"rise": 2, "fall": 4}, ("external", 2, 4)),
        ({"rise": 2, "fall": 4, "autodisable": True}, ("external", 2, 1)),
    ],
)
def test_what_takes_a_channel_out(options, check):
    plan = pool("10.0.0.1", **options).check

    assert (plan.kind, plan.rise, plan.fall) == check


def test_every_channel_may_be_tried():
    assert pool(*["10.0.0.1"] * 5).retry.attempts == 5
    assert pool(*["10.0.0.1"] * 60, "!", *["10.0.0.1"] * 60).retry.attempts == 64
    assert pool().retry.attempts == 1


def test_what_goes_to_the_streams_of_the_foreground():
    def log(**options):
        return made("10.0.0.1", **options).value.access_log

    assert log(dump=True, foreground=True) == plans.AccessLog("-", "dump")
    assert log(debug=True, foreground=True) == plans.AccessLog("/dev/stderr", "json")
    assert log(dump=True, debug=True) is None, "a daemon has none"


class Names:
    """A resolver that can be told something else."""

    def __init__(self, **addresses):
        self.addresses = addresses
        self.asked = []

    def __call__(self, name):
        self.asked.append(name)
        found = self.addresses.get(name)
        return Answer((found,)) if found else Answer((), "gone")


def test_names_are_followed_and_never_forgotten():
    names = Names(a="10.0.0.1")
    settings = Settings(80, None, Arguments())
    first = Layout(settings, first_shape(parse_channels(["a"], 80)), resolver=names)
    assert first.addresses("a:80") == [("10.0.0.1", 80)]

    names.addresses["a"] = "10.0.0.2"
    moved = first.resolve()
    names.addresses.clear()
    gone = moved.resolve()

    assert moved.addresses("a:80") == [("10.0.0.2", 80)]
    assert (gone.addresses("a:80"), gone.unresolved) == ([("10.0.0.2", 80)], ("a",))
    assert gone.problems == {"a": "gone"}


def test_following_a_name_that_vanishes_says_why_and_goes_on():
    names = Names(a="10.0.0.1")
    settings = Settings(80, None, Arguments())
    layouts = [Layout(settings, first_shape(parse_channels(["a"], 80)), resolver=names)]
    told = []

    async def resolve(loaded):
        return loaded.resolve()

    async def use(_, after):
        layouts.append(after)
        return True

    def tell(kind, **fields):
        told.append((kind, fields))

    followed = dns.Names(lambda: layouts[-1], resolve, use, tell)
    names.addresses.clear()
    assert asyncio.run(followed.step()) == ("a",)
    assert told == [("unresolved", {"name": "a", "why": "gone"})]
    names.addresses["a"] = "10.0.0.2"
    assert asyncio.run(followed.step()) == ()
    assert layouts[-1].addresses("a:80") == [("10.0.0.2", 80)]


def test_a_change_asks_for_new_names_only():
    names = Names(a="10.0.0.1", b="10.0.0.2")
    settings = Settings(80, None, Arguments())
    first = Layout(settings, first_shape(parse_channels(["a"], 80)), resolver=names)

    second = first.change(first_shape(parse_channels(["a", "b"], 80)))

    assert names.asked == ["a", "b"]
    assert second.addresses("b:80") == [("10.0.0.2", 80)]
    assert second.addresses("c:80") == []
    with pytest.raises(ConfigErrors):
        first.change(first_shape(parse_channels(["c"], 80)))


def test_a_change_is_no_news_of_a_name_that_has_gone():
    names = Names(a="10.0.0.1", b="10.0.0.2")
    settings = Settings(80, None, Arguments())
    first = Layout(settings, first_shape(parse_channels(["a"], 80)), resolver=names)
    del names.addresses["a"]

    second = first.resolve().change(first_shape(parse_channels(["a", "b"], 80)))

    assert second.problems == {"a": "gone"}


def test_what_was_left_is_out_of_every_group():
    parked = Place("10.0.0.1:80", "10.0.0.1", 80, GROUP_PARKED, enabled=False)
    shape = Shape((Place("10.0.0.2:80", "10.0.0.2", 80, 0), parked), frozenset({0}))
    plan = Layout(Settings(80, None, Arguments()), shape).value.pools[0]

    assert [(row.group, row.state) for row in plan.backends] == [
        (0, "enabled"),
        (GROUP_PARKED, "disabled"),
    ]


def test_after_a_kill_there_is_no_listener_and_all_the_time_in_the_world():
    shape = Shape((Place("10.0.0.2:80", "10.0.0.2", 80, 0),), listens=False)
    value = Layout(Settings(80, None, Arguments()), shape).value

    assert value.listeners == ()
    assert value.shutdown_timeout > 10 * 365 * 86_400_000
