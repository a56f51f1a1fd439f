"""Connections that are used again, on both sides."""

from __future__ import annotations

import threading

import pytest

from harness.backend import keeping, response, saying
from harness.balancer import wait_for


def test_a_client_sends_many_requests_on_one_connection(http, backend) -> None:
    balancer = http(backend(saying("hello")))
    line = balancer.connect()

    bodies = [line.get(f"/{number}").body for number in range(50)]

    assert bodies == [b"hello"] * 50


def test_clients_share_kept_backend_connections(http, backend) -> None:
    one = backend(saying("hello"))
    balancer = http(one, "--workers", "1")

    for _ in range(10):
        with balancer.connect() as line:
            line.get()

    assert len(one.lines) == 1
    assert len(one.requests) == 10


def test_the_client_may_ask_to_close(http, backend) -> None:
    line = http(backend()).connect()

    answer = line.get("/", "Connection: close")

    assert answer.body == b"hello"
    assert answer.value("Connection") == "close"
    assert line.is_closed()


def test_http_1_0_closes_unless_asked_not_to(http, backend) -> None:
    balancer = http(backend())

    line = balancer.connect()
    answer = line.ask("GET / HTTP/1.0\r\nHost: app\r\n\r\n")

    assert answer.body == b"hello"
    assert line.is_closed()


def test_http_1_0_is_kept_alive_when_asked(http, backend) -> None:
    line = http(backend()).connect()

    for _ in range(3):
        answer = line.ask("GET / HTTP/1.0\r\nHost: app\r\nConnection: keep-alive\r\n\r\n")
        assert answer.body == b"hello"
        assert (answer.value("Connection") or "").lower() == "keep-alive"


def test_http_1_0_without_host_is_served(http, backend) -> None:
    line = http(backend()).connect()

    assert line.ask("GET / HTTP/1.0\r\n\r\n").body == b"hello"


def test_a_backend_that_closes_after_each_answer_is_no_trouble(http, backend) -> None:
    def once(line) -> None:
        line.read_request()
        line.send(response(b"once", headers={"Connection": "close"}))

    line = http(backend(once)).connect()

    answers = [line.get() for _ in range(20)]

    assert {answer.body for answer in answers} == {b"once"}
    assert not any(answer.has("Connection") for answer in answers), "hop-by-hop"


def test_a_backend_that_says_close_and_does_not_is_not_asked_there_again(http, backend) -> None:
    closing = response(b"last", headers={"Connection": "close"})
    one = backend(keeping(lambda _: closing))
    line = http(one, "--workers", "1").connect()

    answers = [line.get(f"/{number}") for number in range(5)]

    assert {answer.body for answer in answers} == {b"last"}
    assert not any(answer.has("Connection") for answer in answers), "it is meant for this hop"
    asked = [[request.target for request in each.requests] for each in one.lines]
    assert asked == [[f"/{number}"] for number in range(5)], "a connection for each"
    wait_for(lambda: all(each.socket.fileno() == -1 for each in one.lines))


def test_a_backend_of_http_1_0_is_no_trouble(http, backend) -> None:
    def old(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")

    line = http(backend(old)).connect()

    answers = [line.get() for _ in range(5)]

    assert {answer.body for answer in answers} == {b"old"}
    assert {answer.version for answer in answers} == {"HTTP/1.1"}


def test_pipelined_requests_are_answered_in_order(http, backend) -> None:
    one = backend(keeping(lambda request: response(request.target.encode())))
    line = http(one).connect()

    line.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: app\r\n\r\n" % number for number in range(100)))

    bodies = [line.read_response().body for _ in range(100)]
    assert bodies == [b"/%d" % number for number in range(100)]


def test_pipelined_requests_stay_in_order_when_the_first_is_slow(http, backend) -> None:
    gate = threading.Event()

    def answer(request) -> bytes:
        if request.target == "/slow":
            gate.wait(5)
        return response(request.target.encode())

    line = http(backend(keeping(answer)), backend(keeping(answer))).connect()

    line.send("GET /slow HTTP/1.1\r\nHost: app\r\n\r\nGET /quick HTTP/1.1\r\nHost: app\r\n\r\n")

    assert line.is_silent(0.2)
    gate.set()
    assert line.read_response().body == b"/slow"
    assert line.read_response().body == b"/quick"


def test_pipelined_requests_with_bodies_are_told_apart(http, backend) -> None:
    line = http(backend(keeping(lambda request: response(request.body)))).connect()

    line.send(
        "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nfirst"
        "POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n"
        "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nthird"
    )

    assert [line.read_response().body for _ in range(3)] == [b"first", b"second", b"third"]


def test_a_request_may_come_one_byte_at_a_time(http, backend) -> None:
    line = http(backend(keeping(lambda request: response(request.body)))).connect()

    line.send_slowly(
        b"POST /x HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
        pause=0.001,
    )

    assert line.read_response().body == b"abcdefg"


def test_empty_lines_before_a_request_are_passed_over(http, backend) -> None:
    line = http(backend()).connect()

    line.get()
    line.send("\r\n")

    assert line.get().body == b"hello"


def test_a_client_that_finishes_still_gets_its_answer(http, backend) -> None:
    gate = threading.Event()

    def answer(_) -> bytes:
        gate.wait(5)
        return response(b"patience")

    line = http(backend(keeping(answer))).connect()

    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    line.finish()
    assert line.is_silent(0.2)
    gate.set()

    assert line.read_response().body == b"patience"
    assert line.is_closed()


def test_half_a_request_behind_a_whole_one_is_not_waited_for(http, backend) -> None:
    """The client has finished sending: the other half will never come."""
    one = backend()
    line = http(one).connect()

    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    line.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 100\r\n\r\nhalf")
    line.finish()

    assert line.read_response().body == b"hello"
    assert line.is_closed()


def test_a_kept_connection_ends_after_its_idle_time(fairlead, backend) -> None:
    from harness.balancer import loopback
    from harness.config import site

    listen = loopback()
    config = site(listen, backend(), listener='timeouts = { idle = "2s" }')
    line = fairlead(config=config).connect(listen)

    line.get()

    assert line.is_silent(0.5)
    assert line.is_closed(10)


def test_a_connection_that_never_sends_ends_after_the_idle_time(fairlead, backend) -> None:
    from harness.balancer import loopback
    from harness.config import site

    listen = loopback()
    config = site(listen, backend(), listener='timeouts = { idle = "300ms", head = "300ms" }')
    line = fairlead(config=config).connect(listen)

    assert line.is_closed(3)


@pytest.mark.parametrize("junk", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"x"])
def test_bytes_that_nobody_asked_for_never_reach_a_client(http, backend, junk: bytes) -> None:
    """A backend that sends more than its answer: the rest is not the next client's answer."""

    def answer(request) -> bytes:
        return response(request.target.encode()) + (junk if request.target == "/first" else b"")

    one = backend(keeping(answer))
    balancer = http(one, "--workers", "1")

    assert balancer.connect().get("/first").body == b"/first"
    assert balancer.connect().get("/second").body == b"/second"
    assert len(one.lines) == 2, "the connection with the rest on it was used again"


def test_idle_backend_connections_end_after_their_keepalive_time(fairlead, backend) -> None:
    from harness.balancer import loopback
    from harness.config import site

    listen = loopback()
    one = backend()
    config = site(listen, one, pool='timeouts = { keepalive = "200ms" }')
    balancer = fairlead(config=config)
    balancer.connect(listen).get()

    wait_for(lambda: one.lines[0].socket.fileno() == -1, 3, lambda: "still open")
