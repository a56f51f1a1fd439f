"""Requests that go no further than here: `Max-Forwards: 0`, and https in the clear."""

from __future__ import annotations

import pytest

from harness.balancer import loopback
from harness.config import site


def test_options_at_its_last_hop_is_answered_here(http, backend) -> None:
    one = backend()
    line = http(one).connect()

    answer = line.ask("OPTIONS /a HTTP/1.1\r\nHost: app\r\nMax-Forwards: 0\r\n\r\n")

    assert (answer.status, answer.reason) == (200, "max_forwards")
    assert answer.value("Allow") == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert one.requests == []
    assert line.get().status == 200, "the connection goes on"


def test_options_for_everything_at_its_last_hop_is_answered_here(http, backend) -> None:
    one = backend()

    answer = http(one).connect().ask("OPTIONS * HTTP/1.1\r\nHost: app\r\nmax-forwards: 00\r\n\r\n")

    assert answer.status == 200
    assert one.requests == []


def test_trace_at_its_last_hop_shows_nobody_what_it_carried(http, backend) -> None:
    one = backend()
    line = http(one).connect()

    answer = line.ask("TRACE / HTTP/1.1\r\nHost: app\r\nCookie: a=b\r\nMax-Forwards: 0\r\n\r\n")

    assert (answer.status, answer.reason) == (405, "method_not_allowed")
    assert "TRACE" not in (answer.value("Allow") or "TRACE")
    assert b"a=b" not in answer.body
    assert one.requests == []


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_every_hop_before_takes_one_off(http, backend, method: str) -> None:
    one = backend()
    line = http(one).connect()

    for number in (1, 2, 10):
        line.ask(f"{method} / HTTP/1.1\r\nHost: app\r\nMax-Forwards: {number}\r\n\r\n")

    assert [request.value("Max-Forwards") for request in one.requests] == ["0", "1", "9"]


def test_connection_can_not_take_the_count_away(http, backend) -> None:
    one = backend()

    http(one).connect().ask(
        "OPTIONS / HTTP/1.1\r\nHost: app\r\nConnection: Max-Forwards\r\nMax-Forwards: 1\r\n\r\n"
    )

    assert one.requests[0].value("Max-Forwards") == "0"


def test_other_methods_do_not_count(http, backend) -> None:
    one = backend()

    answer = http(one).connect().get("/", "Max-Forwards: 0")

    assert answer.status == 200
    assert one.requests[0].value("Max-Forwards") == "0"


def test_https_in_the_clear_is_misdirected(http, backend) -> None:
    """RFC 9110 §7.4."""
    one = backend()
    line = http(one).connect()

    answer = line.ask("GET https://app/x HTTP/1.1\r\nHost: app\r\n\r\n")

    assert (answer.status, answer.reason) == (421, "misdirected")
    assert one.requests == []


def test_https_by_way_of_a_trusted_proxy_is_passed_on(fairlead, backend) -> None:
    listen, one = loopback(), backend()
    balancer = fairlead(config=site(listen, one, listener='trusted_proxies = ["127.0.0.0/8"]'))

    answer = balancer.connect(listen).ask("GET https://app/x HTTP/1.1\r\nHost: app\r\n\r\n")

    assert answer.status == 200
    assert one.requests[0].target == "/x"
    assert one.requests[0].value("X-Forwarded-Proto") == "https"


def test_a_refused_head_request_gets_no_body(http, backend) -> None:
    line = http(backend()).connect()

    answer = line.ask("HEAD / HTTP/1.1\r\n\r\n")

    assert answer.status == 400
    assert int(answer.value("Content-Length") or 0) > 0
    assert line.read_to_end() == b""
