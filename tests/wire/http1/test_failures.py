"""What a client sees when the backend is the one that fails: 502, 503, 504, and broken answers."""

from __future__ import annotations

import time

import pytest

from harness.backend import free_port, keeping, response, silent_listener
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.line import BrokenOff

GET = "GET / HTTP/1.1\r\nHost: app\r\n\r\n"


def said(answer) -> tuple[int, str | None]:
    """Status and reason."""
    return answer.status, answer.reason


def test_nobody_listens(http) -> None:
    line = http(f"127.0.0.1:{free_port()}").connect()

    answer = line.get()

    assert said(answer) == (503, "connect_refused")
    assert answer.value("Retry-After") == "2"
    assert (answer.value("Content-Type") or "").startswith("text/plain")
    assert line.get().status == 503, "the client's connection is still good"


def test_nobody_is_available(fairlead) -> None:
    listen = loopback()
    dead = f"127.0.0.1:{free_port()}"
    check = 'type = "tcp", interval = "100ms", fall = 1'
    balancer = fairlead(config=site(listen, dead, check=check))
    balancer.wait_for_health(dead, "down")

    answer = balancer.connect(listen).get()

    assert said(answer) == (503, "no_backend")
    assert answer.value("Retry-After") == "2", "seconds, until which somebody may be back"


def test_a_connect_that_gets_no_answer(fairlead) -> None:
    listener, fillers = silent_listener()
    host, port = listener.getsockname()
    listen = loopback()
    balancer = fairlead(
        config=site(listen, f"{host}:{port}", pool='timeouts = { connect = "300ms" }')
    )
    started = time.monotonic()

    answer = balancer.connect(listen).get()

    assert said(answer) == (503, "connect_timeout")
    assert 0.25 < time.monotonic() - started < 2.5
    for sock in (listener, *fillers):
        sock.close()


def test_a_backend_that_closes_instead_of_answering(http, backend) -> None:
    line = http(backend(lambda line: line.read_request())).connect()

    assert said(line.get()) == (502, "backend_reset")


def test_a_backend_that_resets_instead_of_answering(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.reset()

    assert said(http(backend(play)).connect().get()) == (502, "backend_reset")


@pytest.mark.parametrize(
    "rubbish",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"hello, this is no HTTP\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX Y: z\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: empty\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"\x00\x01\x02\x03",
    ],
)
def test_a_backend_that_answers_rubbish(http, backend, rubbish: bytes) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(rubbish)

    answer = http(backend(play)).connect().get()

    assert answer.status == 502
    assert answer.reason in ("bad_response", "backend_reset")


def test_rubbish_is_named_a_bad_response(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(b"hello, this is no HTTP\r\n\r\n")
        line.read_to_end()

    assert said(http(backend(play)).connect().get()) == (502, "bad_response")


def test_an_answer_that_breaks_the_rules_is_evidence_that_says_which(fairlead, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
        line.read_to_end()

    listen, one = loopback(), backend(play)
    balancer = fairlead(config=site(listen, one))

    answer = balancer.connect(listen).ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

    assert said(answer) == (502, "bad_response")
    assert answer.body == b"more than one Content-Length\n"
    row = balancer.backends()[one.address]
    assert row["failures"] == 1
    assert "more than one Content-Length" in str(row["reason"])


def test_an_answer_whose_head_breaks_off(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Le")

    answer = http(backend(play)).connect().get()

    assert answer.status == 502
    assert answer.reason in ("backend_reset", "bad_response")


def test_an_answer_whose_head_has_no_end(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: yyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 200)
        line.send(b"X-Long: " + b"z" * 100_000)
        line.read_to_end()

    assert said(http(backend(play)).connect().get()) == (502, "response_head_too_large")


def test_an_answer_that_does_not_come_in_time(fairlead, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.read_some()

    listen = loopback()
    one = backend(play)
    balancer = fairlead(config=site(listen, one, pool='timeouts = { response = "300ms" }'))
    line = balancer.connect(listen)
    started = time.monotonic()

    answer = line.ask("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n")

    assert said(answer) == (504, "response_timeout")
    assert 0.25 < time.monotonic() - started < 2


@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
    ],
    ids=["length", "chunks", "inside a chunk", "before the last CRLF"],
)
@pytest.mark.parametrize("how", ["closes", "resets"])
def test_an_answer_that_breaks_off_is_seen_to_be_broken(
    http, backend, part: bytes, how: str
) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(part)
        time.sleep(0.1)
        if how == "resets":
            line.reset()

    balancer = http(backend(play))
    line = balancer.connect()
    line.send(GET)
    head = line.read_head()

    assert head.status == 200
    with pytest.raises((BrokenOff, ConnectionResetError)):
        line.read_body(head)
    balancer.wait_for_reason("response_truncated")


def test_an_answer_that_stalls_is_broken_off(fairlead, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        line.read_some()

    listen = loopback()
    balancer = fairlead(config=site(listen, backend(play), pool='timeouts = { idle = "300ms" }'))
    line = balancer.connect(listen)
    line.send(GET)
    head = line.read_head()

    with pytest.raises((BrokenOff, ConnectionResetError)):
        line.read_body(head)
    balancer.wait_for_reason("response_stalled")


def test_a_stream_of_events_with_nothing_to_tell_is_no_illness(fairlead, backend) -> None:
    """It is cut after the idle time, and each client that comes again finds the same backend."""

    def play(line) -> None:
        line.read_request()
        line.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n3\r\n: \n\r\n"
        )
        line.read_some()

    listen, one = loopback(), backend(play)
    balancer = fairlead(config=site(listen, one, pool='timeouts = { idle = "200ms" }'))
    for _ in range(5):
        line = balancer.connect(listen)
        line.send(GET)
        head = line.read_head()
        with pytest.raises((BrokenOff, ConnectionResetError)):
            line.read_body(head)

    balancer.wait_for_reason("stream_idle", 5)
    row = balancer.backends()[one.address]
    assert (row["health"], row["failures"]) == ("healthy", 0)


def test_an_answer_with_broken_chunks_is_broken_off(http, backend) -> None:
    """Envoy 1.40 reads `5 CRLF helloworld CRLF` as `hello`."""

    def play(line) -> None:
        line.read_request()
        line.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n"
        )
        line.read_to_end()

    line = http(backend(play)).connect()
    line.send(GET)
    try:
        head = line.read_head()
        if head.status == 502:
            return
        with pytest.raises((BrokenOff, ConnectionResetError)):
            line.read_body(head)
    except ConnectionResetError:
        return


def test_a_client_that_went_away_is_counted_and_blames_nobody(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.read_some()

    one = backend(play)
    balancer = http(one)
    for number in range(1, 6):
        line = balancer.connect()
        line.send(GET)
        wait_for(lambda number=number: len(one.requests) == number)
        line.reset()

    wait_for(
        lambda: balancer.listener()["reasons"].get("client_gone", 0) >= 5,
        5,
        lambda: str(balancer.listener()),
    )
    assert balancer.backends()[one.address]["health"] in ("healthy", "unknown")
    assert balancer.backends()[one.address]["failures"] == 0


def test_the_backend_learns_that_the_client_went_away(http, backend) -> None:
    gone = []

    def play(line) -> None:
        line.read_request()
        try:
            gone.append(line.read_some())
        except ConnectionResetError:
            gone.append(b"")

    one = backend(play)
    line = http(one).connect()
    line.send(GET)
    wait_for(lambda: one.requests)
    line.reset()

    wait_for(lambda: gone)
    assert gone == [b""]


def test_statuses_of_a_backend_are_its_own(http, backend) -> None:
    line = http(
        backend(keeping(lambda request: response(b"mine", f"{request.target[1:]} Whatever")))
    ).connect()

    for status in (400, 404, 408, 429, 500, 502, 503, 504, 599):
        answer = line.get(f"/{status}")
        assert answer.status == status
        assert answer.body == b"mine"
        assert answer.reason is None
