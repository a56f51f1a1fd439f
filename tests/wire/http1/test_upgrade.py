"""Upgrades: WebSocket is tunnelled, everything else goes on without the offer."""

from __future__ import annotations

import threading

import pytest

from harness.backend import keeping, response, saying
from harness.balancer import loopback
from harness.config import site

ASK = (
    "GET /chat HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def chatting(line) -> None:
    """Switches, then echoes."""
    line.read_request()
    line.send(SWITCH)
    while data := line.read_some():
        line.send(data)
    line.finish()


def test_a_websocket_is_a_tunnel_both_ways(http, backend) -> None:
    one = backend(chatting)
    line = http(one).connect()

    line.send(ASK)
    head = line.read_head()
    assert head.status == 101
    assert head.value("Upgrade") == "websocket"
    assert "upgrade" in (head.value("Connection") or "").lower()
    assert head.value("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    for size in (1, 100, 100_000):
        line.send(b"\x00" * size)
        assert line.read(size) == b"\x00" * size

    seen = one.requests[0]
    assert seen.value("Upgrade") == "websocket"
    assert (seen.value("Connection") or "").lower() == "upgrade"
    assert seen.value("Sec-WebSocket-Version") == "13"


def test_what_follows_the_switch_at_once_is_not_lost(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(SWITCH + b"first words")
        line.read_to_end()

    line = http(backend(play)).connect()
    line.send(ASK)

    assert line.read_head().status == 101
    assert line.read(11) == b"first words"


def test_either_side_may_end_a_tunnel(http, backend) -> None:
    balancer = http(backend(chatting))

    line = balancer.connect()
    line.send(ASK)
    line.read_head()
    line.send(b"bye")
    line.finish()

    assert line.read_to_end() == b"bye"


def test_bytes_sent_before_the_switch_wait_for_it(http, backend) -> None:
    """Pingora's CVE-2026-2833: bytes after an Upgrade went on raw before the 101."""
    gate = threading.Event()
    early: list[bool] = []

    def play(line) -> None:
        line.read_request()
        early.append(not line.is_silent(0.3))
        gate.set()
        line.send(response(b"no switch here"))
        while request := line.read_request():
            line.send(response(request.target.encode()))

    line = http(backend(play)).connect()
    line.send(ASK + "GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\n")

    assert line.read_response().body == b"no switch here"
    assert early == [False]


def test_a_refused_upgrade_is_an_ordinary_answer(http, backend) -> None:
    line = http(backend(saying("no websocket here"))).connect()

    line.send(ASK)
    answer = line.read_response()

    assert answer.status == 200
    assert answer.body == b"no websocket here"
    assert line.get().status == 200


def test_a_switch_that_nobody_asked_for_is_a_bad_response(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(SWITCH)
        line.read_to_end()

    answer = http(backend(play)).connect().get()

    assert (answer.status, answer.reason) == (502, "bad_response")


def test_a_switch_to_something_else_is_a_bad_response(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(SWITCH.replace(b"websocket", b"telnet"))
        line.read_to_end()

    line = http(backend(play)).connect()
    line.send(ASK)
    answer = line.read_response()

    assert (answer.status, answer.reason) == (502, "bad_response")


def test_an_h2c_offer_is_taken_out_and_the_request_goes_on(http, backend) -> None:
    """Java's default client makes one with every request."""
    one = backend()
    line = http(one).connect()

    answer = line.get(
        "/",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
    )

    assert answer.body == b"hello"
    assert not one.requests[0].has("Upgrade")
    assert not one.requests[0].has("HTTP2-Settings")
    assert "pgrade" not in (one.requests[0].value("Connection") or "")


@pytest.mark.parametrize("token", ["tls/1.0", "foo", "websocket, h2c", "HTTP/2.0"])
def test_other_offers_are_taken_out(http, backend, token: str) -> None:
    one = backend()
    line = http(one).connect()

    answer = line.get("/", "Connection: Upgrade", f"Upgrade: {token}")

    if answer.status == 200:
        offered = one.requests[0].value("Upgrade")
        assert offered in (None, "websocket")
    else:
        assert answer.status == 400


def test_an_upgrade_of_http_1_0_is_ignored(http, backend) -> None:
    one = backend()
    line = http(one).connect()

    line.ask("GET / HTTP/1.0\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

    assert not one.requests[0].has("Upgrade")


def test_a_tunnel_that_neither_side_uses_ends(fairlead, backend) -> None:
    listen = loopback()
    one = backend(chatting)
    balancer = fairlead(
        config=site(listen, one, listener='timeouts = { tunnel = "400ms", idle = "100ms" }')
    )
    line = balancer.connect(listen)
    line.send(ASK)
    line.read_head()

    assert line.is_silent(0.25), "the tunnel has its own time"
    assert line.is_closed(3)


def test_a_tunnel_outlives_the_response_timeout(fairlead, backend) -> None:
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen, backend(chatting), pool='timeouts = { response = "200ms", idle = "200ms" }'
        )
    )
    line = balancer.connect(listen)
    line.send(ASK)
    line.read_head()

    assert line.is_silent(0.6)
    line.send(b"still here")
    assert line.read(10) == b"still here"


def test_a_reset_passes_through_a_tunnel(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(SWITCH)
        line.read(1)
        line.reset()

    line = http(backend(play)).connect()
    line.send(ASK)
    line.read_head()
    line.send(b"x")

    with pytest.raises(ConnectionResetError):
        line.read_to_end()


def test_requests_that_are_kept_alive_may_switch_later(http, backend) -> None:
    def play(line) -> None:
        while request := line.read_request():
            if request.has("Upgrade"):
                line.send(SWITCH)
                while data := line.read_some():
                    line.send(data)
                return
            line.send(response(b"plain"))

    line = http(backend(play)).connect()

    assert line.get().body == b"plain"
    line.send(ASK)
    assert line.read_head().status == 101
    line.send(b"hi")
    assert line.read(2) == b"hi"


def test_answers_with_keeping_backends_still_work_after_a_refused_upgrade(http, backend) -> None:
    one = backend(keeping(lambda request: response(request.target.encode())))
    line = http(one).connect()
    line.send(ASK)

    assert line.read_response().body == b"/chat"
    assert line.get("/next").body == b"/next"
