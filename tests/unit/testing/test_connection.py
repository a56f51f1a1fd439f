"""One connection of a fake backend, where FakeBackend's own tests don't reach."""

import socket

import pytest

from fairlead.testing import FakeBackend


@pytest.fixture
def backend():
    with FakeBackend("one") as running:
        yield running


def exchange(backend, sent, *, finish=True):
    with socket.create_connection(("127.0.0.1", backend.port), timeout=5) as connection:
        connection.sendall(sent)
        if finish:
            connection.shutdown(socket.SHUT_WR)
        data = b""
        while piece := connection.recv(65536):
            data += piece
    return data


def test_a_body_larger_than_what_is_kept_is_counted_whole(backend):
    size = 3 << 20
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    exchange(backend, head + b"x" * size)
    (request,) = backend.requests()
    assert (request.body_bytes, len(request.body)) == (size, 1 << 20)


def test_a_client_that_waits_is_told_to_continue(backend):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection(("127.0.0.1", backend.port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 \r\n\r\n"
        connection.sendall(b"hi")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_heads_are_kept_byte_by_byte(backend):
    head = b"GET /x HTTP/1.1\r\nHOST:  a\r\nX-CaSe: b\r\n\r\n"
    exchange(backend, head)
    assert backend.requests()[0].raw_head == head


def test_a_request_that_breaks_off_is_noted(backend):
    exchange(backend, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhi")
    assert backend.hits() == 0
    assert len(backend.seen.garbled) == 1


def test_short_bodies_are_not_cut_into_pieces(backend):
    backend.answer(body="abc")
    backend.slow(0.0, between=0.01)
    assert exchange(backend, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"abc")
