"""A backend that answers while the request's body is still coming."""

from __future__ import annotations

import threading

from harness.backend import response

HEAD = "POST / HTTP/1.1\r\nHost: app\r\n"


def test_the_answer_reaches_the_client_at_once(http, backend) -> None:
    def play(line) -> None:
        line.read_head()
        line.send(response(b"not interested", "403 Forbidden"))
        line.read_some()

    line = http(backend(play)).connect()
    line.send(f"{HEAD}Content-Length: 1000000\r\n\r\nfirst bytes")

    answer = line.read_response()

    assert answer.status == 403
    assert answer.body == b"not interested"


def test_a_client_that_sends_on_still_reads_the_answer(http, backend) -> None:
    """The answer isn't lost to a reset, though the backend closed with bytes unread."""

    def play(line) -> None:
        line.read_head()
        line.send(response(b"too large", "413 Content Too Large", {"Connection": "close"}))
        line.finish()

    line = http(backend(play)).connect()
    line.send(f"{HEAD}Content-Length: 200000\r\n\r\n")
    line.send_slowly(b"x" * 100_000, pause=0.002, piece=10_000)

    answer = line.read_response()

    assert answer.status == 413
    assert answer.body == b"too large"


def test_the_rest_of_the_body_is_never_the_next_request(http, backend) -> None:
    def play(line) -> None:
        line.read_head()
        line.send(response(b"early"))

    one = backend(play)
    line = http(one).connect()
    smuggled = "GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\n"
    line.send(f"{HEAD}Content-Length: {len(smuggled)}\r\n\r\n")

    assert line.read_response().body == b"early"
    try:
        line.send(smuggled)
        rest = line.read_to_end(1)
    except (ConnectionError, TimeoutError):
        rest = b""

    assert b"/smuggled" not in rest
    assert all("/smuggled" not in request.start for each in [one] for request in each.requests)


def test_a_backend_that_reads_on_gets_the_whole_body(http, backend) -> None:
    got: list[bytes] = []
    done = threading.Event()

    def play(line) -> None:
        head = line.read_head()
        line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
        got.append(line.read_body(head).body)
        done.set()
        line.send(b"4\r\nlate\r\n0\r\n\r\n")

    line = http(backend(play)).connect()
    line.send(f"{HEAD}Content-Length: 300000\r\n\r\n")
    assert line.read_head().status == 200
    assert line.read_chunk() == b"early"
    line.send(b"y" * 300_000)

    assert line.read_chunk() == b"late"
    assert done.wait(5)
    assert got == [b"y" * 300_000]
