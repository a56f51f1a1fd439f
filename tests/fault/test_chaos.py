"""Faults on purpose: over tcp, at their end, across reloads and stops. Nobody pays for the game.

`tests/interface/test_chaos.py` has every fault over http, the report and the refusals.
"""

from __future__ import annotations

import json
import signal
import time

import pytest

from harness.backend import naming_lines
from harness.balancer import Balancer, loopback, wait_for
from harness.config import site
from harness.crowd import executions
from harness.line import dial
from harness.traffic import Seen, Traffic, by_tcp, learn

ALLOWED = "[chaos]\nenabled = true\n"
TCP = 'type = "tcp", interval = "200ms", timeout = "200ms", fall = 2'
HTTP = 'type = "http", path = "/healthz", interval = "200ms", timeout = "200ms", fall = 2'


def play(balancer: Balancer, backend: str, fault: str, seconds: float, **more: object) -> None:
    """Begin to play it."""
    body = {"pool": "app", "backend": backend, "fault": fault, "seconds": seconds, **more}

    def begins() -> bool:
        status, told = balancer.api("POST", "/v1/chaos", body)
        # On a busy machine the other one may be suspect for a moment; then it is refused, rightly.
        assert status == 201 or "no other backend" in json.dumps(told), told
        return status == 201

    wait_for(begins)


def told(balancer: Balancer) -> dict:
    """The report so far."""
    return balancer.api("GET", "/v1/chaos")[1]["chaos"]


def settled(balancer: Balancer) -> dict:
    """The report once it is final."""
    return wait_for(lambda: (report := told(balancer))["settled"] and report, 20)


@pytest.fixture
def streams(fairlead, backend):
    """fairlead before two tcp backends, and one's address."""

    def start() -> tuple[Balancer, str, str]:
        one, two = backend(naming_lines(b"one")), backend(naming_lines(b"two"))
        listen = loopback()
        config = site(listen, one, two, protocol="tcp", check=TCP, more=ALLOWED)
        balancer = fairlead(config=config)
        balancer.wait_all_healthy()
        learn(listen, by_tcp, b"one", b"two")
        return balancer, listen, one.address

    return start


def during(balancer: Balancer, listen: str, backend: str, fault: str, **more: object) -> Seen:
    """What tcp clients see of two seconds of it and of what follows, each of them patient."""
    with Traffic(listen, 50, by_tcp) as seen:
        play(balancer, backend, fault, 2, **more)
        # What traffic found out, traffic takes back: it goes on until all is well again.
        settled(balancer)
    return seen


@pytest.mark.parametrize("fault", ["drop", "freeze", "delay"])
def test_tcp_clients_lose_no_connection_to_what_is_held_back(streams, fault: str) -> None:
    """Who is met waits, until the end at most; who comes later goes elsewhere."""
    balancer, listen, one = streams()

    seen = during(balancer, listen, one, fault, delay_seconds=0.8)

    assert seen.failures == []
    report = settled(balancer)
    assert report["played"]["suffered"] > 0
    assert (report["clients"]["failed"], report["restored_after_seconds"] is not None) == (0, True)
    if fault != "delay":
        assert report["noticed"]["health"] in ("suspect", "down")


def test_tcp_connections_that_are_reset_are_few(streams) -> None:
    balancer, listen, one = streams()

    seen = during(balancer, listen, one, "reset")

    report = settled(balancer)
    # Those that were due while nobody here could run came together, half of them to this one.
    assert len(seen.failures) <= 10 + round(seen.stall * 50 / 2), "learnt within ten cases"
    # Checks may find out before any client does.
    assert report["played"]["suffered"] == len(seen.failures)
    assert report["noticed"] is not None


def test_an_error_on_tcp_is_refused_in_words(streams) -> None:
    balancer, _, one = streams()
    body = {"pool": "app", "backend": one, "fault": "error", "seconds": 5}

    status, answer = balancer.api("POST", "/v1/chaos", body)

    assert (status, answer["code"]) == (409, "no_requests")
    said = json.dumps(answer)
    assert "no http listener leads to `app`" in said
    assert "drop, delay, reset and freeze" in said
    assert told(balancer) is None


# ------------------------------------------------------------------------------------------ the end


@pytest.fixture
def site_of(fairlead, crowd):
    """fairlead before two origins, over http, and its configuration."""

    def start(more: str = ALLOWED) -> tuple[Balancer, str, tuple]:
        one, two = crowd.origin("one"), crowd.origin("two")
        listen = loopback()
        balancer = fairlead(config=site(listen, one.address, two.address, check=HTTP, more=more))
        balancer.wait_all_healthy()
        return balancer, listen, (one, two)

    return start


@pytest.mark.parametrize("fault", ["drop", "freeze"])
@pytest.mark.parametrize("how", ["by itself", "on demand", "by a stop"])
def test_its_end_costs_no_post(crowd, site_of, fault: str, how: str) -> None:
    """POSTs that wait for somebody who is frozen are answered at the end, each executed once."""
    balancer, listen, (one, two) = site_of()
    assert [answer for answer in crowd.ask(listen, 100, 0.5) if not answer.ok] == []
    play(balancer, one.address, fault, 1.5 if how == "by itself" else 60)
    posts = crowd.begin(listen, 40, 0.5, request="POST /", size=100)
    wait_for(lambda: told(balancer)["played"]["suffered"] >= 1)
    met = time.monotonic()
    if how == "on demand":
        assert balancer.api("DELETE", "/v1/chaos")[0] == 200
    elif how == "by a stop":
        wait_for(lambda: time.monotonic() - met > 0.6)
        balancer.signal(signal.SIGTERM)

    answers = posts.result(20)

    assert [answer for answer in answers if not answer.ok] == []
    assert set(executions(answers, one, two).values()) == {1}


def test_a_stream_whose_backend_speaks_first_is_whole(fairlead, backend) -> None:
    """What it says meanwhile is late, and not left out."""

    def greets(line) -> None:
        line.send(b"220 hello\r\n")
        while line.read_some():
            line.send(b"250 ok\r\n")

    one, two = backend(greets), backend(greets)
    listen = loopback()
    pool = 'policy = "first"'
    config = site(listen, one, two, protocol="tcp", pool=pool, check=TCP, more=ALLOWED)
    balancer = fairlead(config=config)
    balancer.wait_all_healthy()
    play(balancer, one.address, "freeze", 60)
    with dial(listen) as line:
        assert line.is_silent(0.2)
        line.send(b"EHLO me\r\n")
        balancer.api("DELETE", "/v1/chaos")
        assert line.read_line() == b"220 hello"
        assert line.read_line() == b"250 ok"
        line.send(b"QUIT\r\n")
        assert line.read_line() == b"250 ok"


# ------------------------------------------------------------------------------------------- reloads


def test_a_reload_goes_on_with_it_and_no_client_notices(crowd, site_of) -> None:
    balancer, listen, (one, two) = site_of()
    crowd.ask(listen, 100, 0.5)
    clients = crowd.begin(listen, 100, 2.5)
    play(balancer, one.address, "freeze", 2)
    for weight in (2, 3):
        pool = f'slow_start = "{weight}s"'
        config = site(listen, one.address, two.address, check=HTTP, pool=pool, more=ALLOWED)
        assert balancer.reload(config)[0] == 200
        assert told(balancer)["running"]
    assert {answer.status for answer in clients.result(20)} == {200}
    report = settled(balancer)
    assert report["seconds"] == 2
    assert report["clients"]["failed"] == 0


def test_a_reload_without_its_backend_leaves_nothing_to_play(crowd, site_of) -> None:
    """The run is about a backend that is gone; everybody else is served, and it still ends."""
    balancer, listen, (one, two) = site_of()
    crowd.ask(listen, 100, 0.5)
    play(balancer, one.address, "freeze", 3)
    clients = crowd.begin(listen, 100, 1.5)
    assert balancer.reload(site(listen, two.address, check=HTTP, more=ALLOWED))[0] == 200
    suffered = told(balancer)["played"]["suffered"]

    assert {answer.status for answer in clients.result(20)} == {200}
    assert told(balancer)["played"]["suffered"] == suffered
    wait_for(lambda: not told(balancer)["running"], 10)
