"""FakeBackend: each way to fail looks from outside as its documentation says."""

import http.client
import socket
import time

import pytest

from fairlead.testing import FakeBackend

SOON = 0.3


@pytest.fixture
def backend():
    with FakeBackend("one") as running:
        yield running


def connect(backend, timeout=5.0):
    return socket.create_connection(("127.0.0.1", backend.port), timeout=timeout)


def ask(backend, path="/", method="GET", body=None, timeout=5.0):
    connection = http.client.HTTPConnection("127.0.0.1", backend.port, timeout=timeout)
    try:
        connection.request(method, path, body=body)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def send(connection, path="/"):
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def read_all(connection):
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def test_it_answers_and_says_who_it_is(backend):
    status, body, headers = ask(backend)
    assert (status, body, headers["X-Backend"]) == (200, b"one\n", "one")


def test_an_answer_can_be_anything(backend):
    backend.answer(404, "no", headers={"X-More": "1"}, chunked=True)
    status, body, headers = ask(backend)
    assert (status, body, headers["X-More"]) == (404, b"no", "1")
    assert headers["Transfer-Encoding"] == "chunked"


def test_it_echoes_bodies_and_remembers_them(backend):
    backend.answer(echo=True)
    assert ask(backend, "/up?x=1", "POST", b"hello")[1] == b"hello"
    (request,) = backend.requests("/up")
    assert (request.method, request.target, request.body) == ("POST", "/up?x=1", b"hello")
    assert request.raw_head.startswith(b"POST /up?x=1 HTTP/1.1\r\n")
    assert request.raw_head.endswith(b"\r\n\r\n")
    assert request.header("Content-Length") == "5"


def test_connections_are_kept_and_requests_may_be_pipelined(backend):
    with connect(backend) as connection:
        send(connection, "/a")
        send(connection, "/b")
        data = b""
        while data.count(b"one\n") < 2:
            data += connection.recv(65536)
    assert [request.connection for request in backend.requests()] == [1, 1]
    assert backend.requests()[1].raw_head.startswith(b"GET /b ")


def test_times_and_paths_limit_a_behaviour(backend):
    backend.answer(500, times=1)
    assert [ask(backend)[0] for _ in range(2)] == [500, 200]
    backend.answer(503, path="/healthz")
    assert (ask(backend, "/healthz")[0], ask(backend, "/other")[0]) == (503, 200)
    backend.answer()
    assert ask(backend, "/healthz")[0] == 200


def test_head_and_204_have_no_body(backend):
    assert ask(backend, method="HEAD")[:2] == (200, b"")
    backend.answer(204)
    assert ask(backend)[:2] == (204, b"")


def test_slow_delays_and_drips(backend):
    backend.answer(body=b"x" * 100)
    backend.slow(0.1, between=0.01)
    began = time.monotonic()
    assert ask(backend)[1] == b"x" * 100
    assert time.monotonic() - began >= 0.2


def test_hang_reads_and_never_answers(backend):
    backend.hang()
    with connect(backend, timeout=SOON) as connection:
        send(connection)
        backend.wait(hits=1)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_reset_resets(backend):
    backend.reset()
    with connect(backend) as connection:
        send(connection)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_reset_at_accept_needs_no_request(backend):
    backend.reset(at="accept")
    with pytest.raises(ConnectionResetError), connect(backend) as connection:
        connection.recv(1)
    assert backend.hits() == 0


def test_close_ends_without_an_answer(backend):
    backend.close()
    with connect(backend) as connection:
        send(connection)
        assert connection.recv(1) == b""


def test_garbage_is_no_http(backend):
    backend.garbage()
    with pytest.raises(http.client.BadStatusLine):
        ask(backend)


@pytest.mark.parametrize(
    ("chunked", "end"), [(False, b"x" * 50), (True, b"32\r\n" + b"x" * 50 + b"\r\n")]
)
def test_half_answers_break_off(backend, chunked, end):
    backend.half_body(chunked=chunked)
    with connect(backend) as connection:
        send(connection)
        assert read_all(connection).endswith(end)
    backend.half_head()
    with connect(backend) as connection:
        send(connection)
        assert b"\r\n\r\n" not in read_all(connection)


def test_refuse_resets_what_is_open_and_refuses_what_comes(backend):
    with connect(backend) as connection:
        send(connection)
        connection.recv(65536)
        backend.refuse()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(backend)
    backend.answer()
    assert ask(backend)[0] == 200


def test_freeze_stands_still_and_thaw_answers_what_waited(backend):
    backend.freeze()
    with connect(backend, timeout=SOON) as connection:
        send(connection)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        backend.thaw()
        connection.settimeout(5)
        assert b"200 OK" in connection.recv(65536)


def test_swallow_leaves_connects_unanswered_and_goes_away_again(backend):
    for _ in range(2):
        backend.swallow()
        with pytest.raises(TimeoutError):
            connect(backend, timeout=SOON)
        backend.answer()
        assert ask(backend)[0] == 200
    assert backend.seen.connections == backend.hits()


def test_early_answers_dont_wait_for_the_body(backend):
    backend.answer(413, early=True)
    with connect(backend) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_what_is_no_http_is_noted(backend):
    with connect(backend) as connection:
        connection.sendall(b"\0\0\0\r\n\r\n")
        assert connection.recv(1) == b""
    assert backend.seen.garbled


def test_tcp_echoes_and_passes_the_end_on():
    with FakeBackend("echo", protocol="tcp") as backend:
        with connect(backend) as connection:
            connection.sendall(b"hello")
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == b"hello"
        backend.reset()
        with connect(backend) as connection:
            connection.sendall(b"hello")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)


def test_it_listens_on_a_unix_socket(tmp_path):
    with FakeBackend("local", listen=f"unix:{tmp_path}/s") as backend:
        assert backend.address == f"unix:{tmp_path}/s"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{tmp_path}/s")
            send(connection)
            assert b"local\n" in connection.recv(65536)
        backend.refuse()
        with socket.socket(socket.AF_UNIX) as connection, pytest.raises(ConnectionRefusedError):
            connection.connect(f"{tmp_path}/s")
    assert not (tmp_path / "s").exists()


def test_it_stops_frozen_stopped_and_unstarted():
    backend = FakeBackend()
    backend.stop()
    backend = FakeBackend().start()
    backend.freeze()
    backend.stop()
    backend.stop()


def test_waiting_says_what_was_missing(backend):
    with pytest.raises(TimeoutError, match="saw 0 requests of 1"):
        backend.wait(hits=1, timeout_seconds=0.01)
