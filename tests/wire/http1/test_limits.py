"""How much is too much, how long is too long: 408, 413, 414, 431."""

from __future__ import annotations

import threading
import time

import pytest

from harness.backend import keeping, response
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.line import BrokenOff


@pytest.fixture
def limited(fairlead, backend):
    """A listener with these limits or timeouts before a backend that mirrors bodies."""

    def start(listener: str, pool: str = ""):
        listen = loopback()
        one = backend(keeping(lambda request: response(request.body)))
        return fairlead(config=site(listen, one, listener=listener, pool=pool)), listen, one

    return start


def said(line) -> tuple[int, str | None]:
    """Status and reason of an answer after which the connection closes."""
    answer = line.read_response()
    assert line.is_closed()
    return answer.status, answer.reason


def test_a_head_may_be_as_large_as_the_limit(http, backend) -> None:
    line = http(backend()).connect()

    assert line.get("/", f"X-Long: {'x' * 60_000}").status == 200


def test_a_larger_head_is_refused(http, backend) -> None:
    line = http(backend()).connect()

    line.send(f"GET / HTTP/1.1\r\nHost: app\r\nX-Long: {'x' * 66_000}\r\n\r\n")

    assert said(line) == (431, "head_too_large")


def test_a_head_without_end_is_refused(http, backend) -> None:
    line = http(backend()).connect()

    line.send("GET / HTTP/1.1\r\nHost: app\r\n" + "X-Y: z\r\n" * 100 + "X-Long: ")
    line.send("x" * 70_000)

    assert said(line) == (431, "head_too_large")


def test_the_limit_of_a_head_can_be_set(limited) -> None:
    balancer, listen, _ = limited('limits = { head = "1KiB" }')

    line = balancer.connect(listen)
    assert line.get("/", f"X-Long: {'x' * 800}").status == 200
    line.send(f"GET / HTTP/1.1\r\nHost: app\r\nX-Long: {'x' * 1100}\r\n\r\n")

    assert said(line) == (431, "head_too_large")


@pytest.mark.parametrize(("more", "expected"), [(0, (200, None)), (1, (431, "head_too_large"))])
def test_a_head_may_have_exactly_its_limit(limited, more: int, expected) -> None:
    balancer, listen, _ = limited('limits = { head = "1KiB" }')
    line = balancer.connect(listen)
    head = "GET / HTTP/1.1\r\nHost: app\r\nX: \r\n\r\n"
    line.send(head.replace("X: ", "X: " + "x" * (1024 - len(head) + more)))
    answer = line.read_response()

    assert (answer.status, answer.reason) == expected


@pytest.mark.parametrize(
    ("length", "expected"), [(16, (200, None)), (17, (414, "target_too_long"))]
)
def test_a_target_may_have_exactly_its_limit(limited, length: int, expected) -> None:
    balancer, listen, _ = limited('limits = { target = "16B" }')
    answer = balancer.connect(listen).get("/" + "x" * (length - 1))

    assert (answer.status, answer.reason) == expected


def _trailers(count: int) -> str:
    return "1\r\nx\r\n0\r\n" + "".join(f"X-{number}: y\r\n" for number in range(count)) + "\r\n"


def _trailer(length: int) -> str:
    return f"1\r\nx\r\n0\r\nX: {'y' * (length - 5)}\r\n\r\n"


def _size_line(length: int) -> str:
    return f"1;{'e' * (length - 4)}\r\nx\r\n0\r\n\r\n"


CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
# A limit, and bodies that reach it and pass it by one.
CHUNKS = [
    pytest.param("", _trailers(32), _trailers(33), id="trailers by default"),
    pytest.param("trailers = 0", _trailers(0), _trailers(1), id="no trailers"),
    pytest.param("trailers = 3", _trailers(3), _trailers(4), id="few trailers"),
    pytest.param("trailers = 300", _trailers(300), _trailers(301), id="many trailers"),
    pytest.param("", _trailer(8192), _trailer(8193), id="trailer bytes by default"),
    pytest.param('trailer_bytes = "16B"', _trailer(16), _trailer(17), id="short trailers"),
    pytest.param('trailer_bytes = "9KiB"', _trailer(9216), _trailer(9217), id="long trailers"),
    pytest.param("", _size_line(256), _size_line(257), id="chunk line by default"),
    pytest.param('chunk_line = "32B"', _size_line(32), _size_line(33), id="short chunk line"),
    pytest.param('chunk_line = "1KiB"', _size_line(1024), _size_line(1025), id="long chunk line"),
    pytest.param('chunk_excess = "0B"', _size_line(18), _size_line(19), id="no excess"),
]


@pytest.mark.parametrize(("limits", "fits", "more"), CHUNKS)
def test_the_chunks_of_a_request_may_have_exactly_their_limits(
    limited, limits: str, fits: str, more: str
) -> None:
    balancer, listen, one = limited(f"limits = {{ {limits} }}")
    line = balancer.connect(listen)

    assert line.ask(f"POST / HTTP/1.1\r\nHost: app\r\n{CHUNKED}{fits}").body == b"x"
    line.send(f"POST / HTTP/1.1\r\nHost: app\r\n{CHUNKED}{more}")

    assert said(line) == (400, "bad_framing")
    assert len([request for request in one.requests if request.body]) == 1


@pytest.mark.parametrize(("limits", "fits", "more"), CHUNKS)
def test_the_chunks_of_an_answer_may_have_exactly_their_limits(
    fairlead, backend, limits: str, fits: str, more: str
) -> None:
    bodies = {"/fits": fits, "/more": more}
    one = backend(
        keeping(lambda request: f"HTTP/1.1 200 OK\r\n{CHUNKED}{bodies[request.target]}".encode())
    )
    listen = loopback()
    balancer = fairlead(config=site(listen, one, listener=f"limits = {{ {limits} }}"))
    line = balancer.connect(listen)

    answer = line.get("/fits")
    assert (answer.status, answer.body) == (200, b"x")
    answer = line.get("/more")
    assert (answer.status, answer.reason) == (502, "bad_response")


def test_an_answer_whose_head_went_out_is_broken_off_at_the_limit(fairlead, backend) -> None:
    head_came = threading.Event()

    def play(line) -> None:
        line.read_request()
        line.send(f"HTTP/1.1 200 OK\r\n{CHUNKED}1\r\nx\r\n")
        assert head_came.wait(10)
        line.send("0\r\nA: b\r\nC: d\r\n\r\n")
        line.read_some()

    listen = loopback()
    balancer = fairlead(config=site(listen, backend(play), listener="limits = { trailers = 1 }"))
    line = balancer.connect(listen)
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    head = line.read_head()
    head_came.set()

    with pytest.raises((BrokenOff, ConnectionResetError)):
        line.read_body(head)
    balancer.wait_for_reason("response_truncated")


def test_a_target_that_is_too_long_is_refused(http, backend) -> None:
    line = http(backend()).connect()

    line.send(f"GET /{'x' * 66_000} HTTP/1.1\r\nHost: app\r\n\r\n")

    assert said(line) == (414, "target_too_long")


def test_a_request_line_without_end_is_refused(http, backend) -> None:
    line = http(backend()).connect()

    line.send("GET /" + "x" * 70_000)

    assert said(line) == (414, "target_too_long")


def test_so_many_headers_are_enough(http, backend) -> None:
    line = http(backend()).connect()

    assert line.get("/", *[f"X-{number}: y" for number in range(120)]).status == 200


def test_more_headers_are_refused(http, backend) -> None:
    line = http(backend()).connect()
    headers = "".join(f"X-{number}: y\r\n" for number in range(130))

    line.send(f"GET / HTTP/1.1\r\nHost: app\r\n{headers}\r\n")

    assert said(line) == (431, "head_too_large")


def test_the_number_of_headers_can_be_set(limited) -> None:
    balancer, listen, _ = limited("limits = { headers = 4 }")

    line = balancer.connect(listen)
    assert line.get("/", "A: 1", "B: 2", "C: 3").status == 200
    line.send("GET / HTTP/1.1\r\nHost: app\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n")

    assert said(line) == (431, "head_too_large")


def test_a_body_that_says_it_is_too_large_is_refused_at_once(limited) -> None:
    balancer, listen, one = limited('limits = { body = "1KiB" }')
    line = balancer.connect(listen)

    assert (
        line.ask(f"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 1024\r\n\r\n{'x' * 1024}").status
        == 200
    )
    line.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 1025\r\n\r\n")

    assert said(line) == (413, "body_too_large")
    assert len(one.requests) == 1


def test_a_chunked_body_that_turns_out_too_large_is_refused(limited) -> None:
    balancer, listen, _ = limited('limits = { body = "1KiB" }')
    line = balancer.connect(listen)

    line.send("POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n")
    line.send("200\r\n" + "x" * 512 + "\r\n")
    line.send("201\r\n" + "x" * 513 + "\r\n")

    assert said(line) == (413, "body_too_large")


def test_a_head_that_takes_too_long_is_timed_out(limited) -> None:
    balancer, listen, _ = limited('timeouts = { head = "300ms" }')
    line = balancer.connect(listen)
    started = time.monotonic()

    line.send("GET / HTTP/1.1\r\nHost: app\r\n")
    status = said(line)

    assert status == (408, "request_timeout")
    assert 0.25 < time.monotonic() - started < 2


def test_a_head_that_drips_is_timed_out_all_the_same(limited) -> None:
    """Slowloris: a byte now and then is no progress."""
    balancer, listen, _ = limited('timeouts = { head = "400ms" }')
    line = balancer.connect(listen)
    started = time.monotonic()

    line.send("GET / HTTP/1.1\r\nHost: app\r\nX-Drip: ")
    while time.monotonic() - started < 10 and line.is_silent(0.05):
        line.send("x")

    assert time.monotonic() - started < 8
    assert line.read_response().reason == "request_timeout"


def test_a_body_that_stops_is_timed_out(limited) -> None:
    balancer, listen, _ = limited('timeouts = { body = "300ms" }')
    line = balancer.connect(listen)

    line.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\nhalf")

    assert said(line) == (408, "request_timeout")


def test_a_body_that_goes_on_slowly_is_not(limited) -> None:
    balancer, listen, _ = limited('timeouts = { body = "2s" }')
    line = balancer.connect(listen)

    line.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 8\r\n\r\n")
    line.send_slowly(b"patience", pause=0.3)

    assert line.read_response().body == b"patience"


def test_a_client_that_stops_sending_is_no_evidence_against_the_backend(limited) -> None:
    balancer, listen, one = limited('timeouts = { body = "200ms" }')

    for _ in range(5):
        with balancer.connect(listen) as line:
            line.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\nhalf")
            line.read_response()

    assert balancer.backends()[one.address]["health"] in ("healthy", "unknown")


def test_more_clients_than_the_limit_are_refused(limited) -> None:
    balancer, listen, one = limited("limits = { connections = 3 }")
    lines = [balancer.connect(listen) for _ in range(3)]
    for line in lines:
        # At a request: one that is idle for a second would make room.
        line.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\nbo")
    wait_for(lambda: len(one.requests) == 3)

    late = balancer.connect(listen)
    late.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")

    assert said(late) == (503, "listener_full")

    for line in lines:
        line.send("dy")
        assert line.read_response().body == b"body"
    lines[0].close()
    wait_for(lambda: balancer.listener()["connections_active"] < 3)
    assert balancer.connect(listen).get().status == 200, "a place that became free is given away"
