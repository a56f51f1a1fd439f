"""A name that moves to another address as the host behind the old one dies.

fairlead looks names up every half a minute, and at once when a backend falls ill
(`tests/wire/names`): so it is the clients' traffic that finds out, and none of them pays for it.
"""

from __future__ import annotations

import pytest

from harness.backend import naming_lines, saying
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.traffic import Traffic, by_http, by_tcp, learn

pytestmark = pytest.mark.root

PORT = 9000
RATE = 40


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_a_name_that_moves_as_its_old_host_dies_fails_nobody(
    fairlead, backend, host, hosts, protocol: str
) -> None:
    play, ask = (saying, by_http()) if protocol == "http" else (naming_lines, by_tcp)
    old, new, other = host(), host(), host()
    for name, here in ((b"old", old), (b"new", new), (b"other", other)):
        backend(play(name), here.listener(PORT))
    hosts.say("app.test", old.address)
    listen, places = loopback(), (f"app.test:{PORT}", f"{other.address}:{PORT}")
    check = 'type = "tcp", interval = "500ms"'
    config = site(listen, *places, protocol=protocol, check=check)
    balancer = fairlead(config=config, inside=hosts.inside)
    learn(listen, ask, b"old", b"other", rate=RATE)

    with Traffic(listen, RATE, ask) as seen:
        old.swallow()
        hosts.say("app.test", new.address)
        wait_for(lambda: seen.answers[-20:].count(b"new") >= 5, 15)

    assert seen.failures == []
    assert seen.slow <= max(5, seen.whole // 8), sorted(seen.times)[-20:]
    told = [each["what"] for each in balancer.events() if each["event"] == "resolved"]
    assert told == [f"{old.address}:{PORT} -> {new.address}:{PORT}"]
    assert b"old" not in seen.answers[-20:]
