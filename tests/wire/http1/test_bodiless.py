"""Answers that have no body, whatever their headers say: HEAD, 204, 304."""

from __future__ import annotations

import pytest

from harness.backend import keeping, response


def test_a_head_answer_keeps_its_length_and_has_no_body(http, backend) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    line = http(backend(keeping(lambda _: data))).connect()

    answer = line.ask("HEAD / HTTP/1.1\r\nHost: app\r\n\r\n")

    assert answer.value("Content-Length") == "1000"
    assert line.ask("HEAD / HTTP/1.1\r\nHost: app\r\n\r\n").status == 200, "the next is no body"


def test_a_head_answer_may_say_chunked(http, backend) -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    line = http(backend(keeping(lambda _: data))).connect()

    for _ in range(3):
        assert line.ask("HEAD / HTTP/1.1\r\nHost: app\r\n\r\n").status == 200


def test_a_head_answer_without_framing_does_not_close(http, backend) -> None:
    line = http(backend(keeping(lambda _: b"HTTP/1.1 200 OK\r\n\r\n"))).connect()

    for _ in range(3):
        assert line.ask("HEAD / HTTP/1.1\r\nHost: app\r\n\r\n").status == 200


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_no_content_and_not_modified_have_no_body(http, backend, status: str) -> None:
    data = f'HTTP/1.1 {status}\r\nETag: "x"\r\n\r\n'.encode()
    line = http(backend(keeping(lambda _: data))).connect()

    for _ in range(3):
        answer = line.get()
        assert answer.start == f"HTTP/1.1 {status}"
        assert answer.value("ETag") == '"x"'


def test_not_modified_may_carry_the_length_it_would_have_had(http, backend) -> None:
    data = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"
    line = http(backend(keeping(lambda _: data))).connect()

    for _ in range(3):
        assert line.get().status == 304


def test_an_answer_of_length_zero_is_whole(http, backend) -> None:
    line = http(backend(keeping(lambda _: response(b"")))).connect()

    for _ in range(3):
        answer = line.get()
        assert answer.status == 200
        assert answer.body == b""


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH"]
)
def test_methods_pass_as_they_are(http, backend, method: str) -> None:
    one = backend(keeping(lambda request: response(request.method.encode())))
    line = http(one).connect()

    assert line.ask(f"{method} / HTTP/1.1\r\nHost: app\r\n\r\n").body == method.encode()


@pytest.mark.parametrize(
    "target", ["/", "/a/../b", "/%2e%2E/x", "/a//b", "/?q=1&r=%20", "/a;b=c", "/~x"]
)
def test_targets_pass_as_they_are(http, backend, target: str) -> None:
    line = http(backend(keeping(lambda request: response(request.target.encode())))).connect()

    assert line.get(target).body == target.encode()


def test_an_options_request_for_everything_passes(http, backend) -> None:
    line = http(backend(keeping(lambda request: response(request.target.encode())))).connect()

    assert line.ask("OPTIONS * HTTP/1.1\r\nHost: app\r\n\r\n").body == b"*"
