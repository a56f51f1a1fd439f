"""Names: resolved, resolved again, and never forgotten when they fail.

fairlead sees an /etc/hosts of its own (a mount namespace), which the test rewrites.
The half minute between two looks is `long`: `tests/unit/discovery` has the pauses, and what is done
with what is found.
"""

from __future__ import annotations

import socket

import pytest

from harness.backend import Backend, free_port, saying
from harness.balancer import loopback, wait_for
from harness.config import site

pytestmark = pytest.mark.root


@pytest.fixture
def places():
    """Backends on 127.0.0.2, .3, .4, all on one port; each says its address."""
    port = free_port()
    made = {
        host: Backend(saying(host), socket.create_server((host, port)))
        for host in ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    }
    yield port, made
    for each in made.values():
        each.close()


def test_a_name_that_moves_is_followed_by_a_reload(fairlead, hosts, places) -> None:
    port, _ = places
    listen = loopback()
    balancer = fairlead(config=site(listen, f"app.test:{port}"), inside=hosts.inside)
    line = balancer.connect(listen)
    assert line.get().body == b"127.0.0.2"

    hosts.say("app.test", "127.0.0.3")
    assert balancer.reload()[0] == 200

    assert balancer.connect(listen).get().body == b"127.0.0.3"


@pytest.mark.long
@pytest.mark.timeout(90)
def test_a_name_that_moves_is_followed_by_itself(fairlead, hosts, places) -> None:
    port, _ = places
    listen = loopback()
    balancer = fairlead(config=site(listen, f"app.test:{port}"), inside=hosts.inside)
    assert balancer.connect(listen).get().body == b"127.0.0.2"

    hosts.say("app.test", "127.0.0.3")

    wait_for(lambda: balancer.connect(listen).get().body == b"127.0.0.3", 60)
    assert any(event["event"] == "resolved" for event in balancer.events())


def test_a_name_whose_backend_falls_ill_is_looked_up_at_once(fairlead, hosts, places) -> None:
    port, made = places
    listen = loopback()
    check = 'type = "tcp", interval = "500ms"'
    balancer = fairlead(config=site(listen, f"app.test:{port}", check=check), inside=hosts.inside)
    assert balancer.connect(listen).get().body == b"127.0.0.2"

    hosts.say("app.test", "127.0.0.3")
    made["127.0.0.2"].refuse()

    def moved() -> bool:
        return balancer.connect(listen).get().body == b"127.0.0.3"

    # It would be 24 s at least without a reason.
    wait_for(moved, 15)
    assert any(event["event"] == "resolved" for event in balancer.events())


def test_a_name_that_fails_keeps_its_last_good_address(fairlead, hosts, places) -> None:
    port, _ = places
    listen = loopback()
    balancer = fairlead(config=site(listen, f"app.test:{port}"), inside=hosts.inside)
    assert balancer.connect(listen).get().body == b"127.0.0.2"

    hosts.say("other.test", "127.0.0.4")
    status, _ = balancer.reload()

    assert status == 200
    assert balancer.connect(listen).get().body == b"127.0.0.2"


def test_a_name_with_several_addresses_uses_one_that_answers(fairlead, hosts, places) -> None:
    port, made = places
    hosts.say("app.test", "127.0.0.2", "127.0.0.3")
    made["127.0.0.2"].refuse()
    listen = loopback()
    balancer = fairlead(config=site(listen, f"app.test:{port}"), inside=hosts.inside)
    line = balancer.connect(listen)

    assert [line.get().body for _ in range(5)] == [b"127.0.0.3"] * 5
