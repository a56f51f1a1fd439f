from __future__ import annotations

from datetime import timedelta

import pytest

from fairlead.config.schema_keepalive import Keepalive
from harness.texts import APP, WEB, load, parse, told

TABLE = "tcp_keepalive = { %s }\n"


def test_what_is_left_out_is_the_engines():
    made = parse(WEB + APP + TABLE % 'idle = "60s"').config.pools["app"]

    assert made.tcp_keepalive == Keepalive(idle=timedelta(seconds=60))
    assert parse(WEB + APP).config.pools["app"].tcp_keepalive is None


def test_listeners_and_pools_have_it():
    value = load(WEB + TABLE % "probes = 9" + APP + TABLE % 'interval = "2s"').value

    assert value.listeners[0].keepalive is not None
    assert value.listeners[0].keepalive.probes == 9
    assert value.pools[0].keepalive is not None
    assert value.pools[0].keepalive.interval == 2_000


@pytest.mark.parametrize("time", ["500ms", "1500ms", "10h"])
def test_times_that_the_kernel_does_not_count_are_refused(time):
    assert told(WEB + APP + TABLE % f'idle = "{time}"') == [("value.range", f'"{time}"')]
    assert told(WEB + APP + TABLE % f'interval = "{time}"') == [("value.range", f'"{time}"')]
