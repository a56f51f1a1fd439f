"""Bodies, in all framings and both directions, streamed."""

from __future__ import annotations

import hashlib
import threading

import pytest

from harness.backend import chunked, keeping, response

POST = "POST / HTTP/1.1\r\nHost: app\r\n"


@pytest.fixture
def mirror(http, backend):
    """A backend that answers with the request's body."""
    return http(backend(keeping(lambda request: response(request.body))))


def test_a_body_with_content_length_arrives_whole(mirror) -> None:
    line = mirror.connect()

    assert line.ask(f"{POST}Content-Length: 11\r\n\r\nhello world").body == b"hello world"


def test_an_empty_body_is_no_trouble(mirror) -> None:
    line = mirror.connect()

    assert line.ask(f"{POST}Content-Length: 0\r\n\r\n").body == b""
    assert line.ask(f"{POST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").body == b""
    assert line.ask(f"{POST}\r\n").body == b""


def test_a_chunked_body_arrives_chunked_and_whole(http, backend) -> None:
    one = backend(keeping(lambda request: response(request.body)))
    line = http(one).connect()

    body = "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n"
    answer = line.ask(f"{POST}Transfer-Encoding: chunked\r\n\r\n{body}")

    assert answer.body == b"hello world"
    assert one.requests[0].value("Transfer-Encoding") == "chunked"
    assert not one.requests[0].has("Content-Length")


def test_trailers_of_a_request_arrive(http, backend) -> None:
    one = backend(keeping(lambda request: response(request.body)))
    line = http(one).connect()

    line.ask(
        f"{POST}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        "2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n"
    )

    assert one.requests[0].body == b"hi"
    assert ("X-Sum", "42") in one.requests[0].trailers


def test_trailers_of_a_response_arrive(http, backend) -> None:
    data = chunked(b"hello", trailers="X-Sum: 42\r\n")
    line = http(backend(keeping(lambda _: data))).connect()

    answer = line.get("/", "TE: trailers")

    assert answer.body == b"hello"
    assert answer.trailers == [("X-Sum", "42")]


def test_trailers_can_not_smuggle_what_belongs_into_a_head(http, backend) -> None:
    one = backend(keeping(lambda request: response(request.body)))
    line = http(one).connect()

    answer = line.ask(
        f"{POST}Transfer-Encoding: chunked\r\n\r\n"
        "2\r\nhi\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 3\r\n\r\n"
    )

    if answer.status == 200:
        names = {name.lower() for name, _ in one.requests[0].trailers}
        assert not names & {"x-forwarded-for", "content-length"}
    else:
        assert answer.status == 400


def test_chunk_extensions_do_not_pass(http, backend) -> None:
    raw: list[bytes] = []

    def play(line) -> None:
        line.read_head()
        raw.append(line.read_until(b"0\r\n\r\n"))
        line.send(response(b"ok"))

    line = http(backend(play)).connect()

    answer = line.ask(
        f'{POST}Transfer-Encoding: chunked\r\n\r\n2;name=value;x="y"\r\nhi\r\n0\r\n\r\n'
    )

    assert answer.status in (200, 400)
    assert b"name" not in b"".join(raw)


def test_a_close_delimited_answer_ends_for_the_client_too(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\n\r\nas long as it takes")

    line = http(backend(play)).connect()

    answer = line.get()

    assert answer.body == b"as long as it takes"


def test_a_close_delimited_answer_of_http_1_0_is_the_same(http, backend) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold")

    assert http(backend(play)).connect().get().body == b"old"


def test_a_chunked_answer_for_an_http_1_0_client_is_not_chunked(http, backend) -> None:
    line = http(backend(keeping(lambda _: chunked(b"one", b"two")))).connect()

    answer = line.ask("GET / HTTP/1.0\r\nHost: app\r\nConnection: keep-alive\r\n\r\n")

    assert not answer.has("Transfer-Encoding")
    assert answer.body == b"onetwo"


def test_a_broken_off_answer_for_an_http_1_0_client_is_a_reset(http, backend) -> None:
    """It has no other way to tell a whole body from a part of one."""

    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")

    line = http(backend(play)).connect()
    line.send("GET / HTTP/1.0\r\nHost: app\r\n\r\n")
    head = line.read_head()

    assert head.status == 200
    with pytest.raises(ConnectionResetError):
        line.read_to_end()


@pytest.mark.parametrize("size", [1, 1000, 65_535, 65_536, 65_537, 1_000_000, 20_000_000])
def test_large_bodies_pass_unchanged_both_ways(mirror, size: int) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    line = mirror.connect()
    sender = threading.Thread(
        target=line.send, args=(f"{POST}Content-Length: {size}\r\n\r\n".encode() + body,)
    )

    sender.start()
    answer = line.read_response()
    sender.join()

    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(body).digest()


@pytest.mark.parametrize("piece", [1, 7, 1000, 65_536, 300_000])
def test_chunked_answers_of_all_piece_sizes_pass_unchanged(http, backend, piece: int) -> None:
    pieces = [bytes([65 + number % 26]) * piece for number in range(min(200, 3_000_000 // piece))]
    line = http(backend(keeping(lambda _: chunked(*pieces)))).connect()

    assert line.get().body == b"".join(pieces)
    assert line.get().body == b"".join(pieces), "the connection is still good"


def test_pieces_of_an_answer_are_passed_on_as_they_come(http, backend) -> None:
    gate = threading.Semaphore(0)

    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            gate.acquire(timeout=5)
            line.send(b"2\r\n#%d\r\n" % number)
        line.send(b"0\r\n\r\n")

    line = http(backend(play)).connect()
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    head = line.read_head()

    assert head.status == 200
    for number in range(5):
        gate.release()
        assert line.read_chunk() == b"#%d" % number
    assert line.read_chunk() == b""


def test_pieces_of_a_request_are_passed_on_as_they_come(http, backend) -> None:
    seen: list[bytes] = []
    news = threading.Event()

    def play(line) -> None:
        line.read_head()
        for _ in range(3):
            seen.append(line.read(4))
            news.set()
        line.send(response(b"done"))

    line = http(backend(play)).connect()
    line.send(f"{POST}Content-Length: 12\r\n\r\n")
    for piece in (b"aaaa", b"bbbb", b"cccc"):
        news.clear()
        line.send(piece)
        assert news.wait(5)
        assert seen[-1] == piece

    assert line.read_response().body == b"done"


def test_both_directions_stream_at_once(http, backend) -> None:
    """A backend that answers each piece of the request before the next one comes."""

    def play(line) -> None:
        line.read_head()
        line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while chunk := line.read_chunk():
            line.send(b"%x\r\n%s\r\n" % (len(chunk), chunk.upper()))
        line.read_line()
        line.send(b"0\r\n\r\n")

    line = http(backend(play)).connect()
    line.send(f"{POST}Transfer-Encoding: chunked\r\n\r\n")
    line.send(b"3\r\nabc\r\n")
    assert line.read_head().status == 200
    assert line.read_chunk() == b"ABC"
    for _ in range(10):
        line.send(b"4\r\nping\r\n")
        assert line.read_chunk() == b"PING"
    line.send(b"0\r\n\r\n")
    assert line.read_chunk() == b""


def test_a_slow_reader_holds_back_the_backend(http, backend) -> None:
    """Memory stays bounded whatever the speeds: what the client doesn't take is not read."""
    sent = [0]
    piece = b"x" * 65_536

    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1000 * len(piece)))
        for _ in range(1000):
            line.send(piece)
            sent[0] += len(piece)

    balancer = http(backend(play))
    before = balancer.resident_bytes()
    line = balancer.connect()
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    head = line.read_head()
    line.is_silent(0.01)
    threading.Event().wait(1)

    assert sent[0] < 40_000_000, "it was all taken in, though nobody read"
    assert balancer.resident_bytes() - before < 16_000_000
    assert len(line.read_body(head).body) == 1000 * len(piece)


def test_a_slow_backend_holds_back_the_client(http, backend) -> None:
    gate = threading.Event()
    size = 64_000_000

    def play(line) -> None:
        line.read_head()
        gate.wait(10)
        line.read(size)
        line.send(response(b"taken"))

    balancer = http(backend(play))
    before = balancer.resident_bytes()
    line = balancer.connect()
    line.send(f"{POST}Content-Length: {size}\r\n\r\n")
    sent = [0]

    def send() -> None:
        for _ in range(size // 64_000):
            line.send(b"x" * 64_000)
            sent[0] += 64_000

    line.socket.settimeout(20)
    sender = threading.Thread(target=send)
    sender.start()
    threading.Event().wait(1)
    held = sent[0]
    grown = balancer.resident_bytes() - before
    gate.set()
    line.patience = 20
    answer = line.read_response()
    sender.join()

    assert held < 40_000_000
    assert grown < 16_000_000
    assert answer.body == b"taken"
