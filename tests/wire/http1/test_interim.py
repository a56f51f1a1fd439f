"""100-continue and the other 1xx."""

from __future__ import annotations

import pytest

from harness.backend import keeping, response

EXPECTING = "POST / HTTP/1.1\r\nHost: app\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


def test_a_client_that_waits_for_100_gets_it(http, backend) -> None:
    def play(line) -> None:
        head = line.read_head()
        line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        line.send(response(line.read_body(head).body))

    line = http(backend(play)).connect()

    line.send(EXPECTING)
    assert line.read_head().status == 100
    line.send(b"hello")

    assert line.read_response().body == b"hello"


def test_a_refusal_instead_of_100_comes_through(http, backend) -> None:
    def play(line) -> None:
        line.read_head()
        line.send(response(b"too much", "413 Content Too Large", {"Connection": "close"}))

    line = http(backend(play)).connect()

    line.send(EXPECTING)
    answer = line.read_response()

    assert answer.status == 413
    assert answer.body == b"too much"
    assert answer.reason is None, "it was the backend's answer"


def test_a_client_that_does_not_wait_for_100_is_no_trouble(http, backend) -> None:
    def play(line) -> None:
        head = line.read_head()
        line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        line.send(response(line.read_body(head).body))

    line = http(backend(play)).connect()

    line.send(f"{EXPECTING}hello")
    answer = line.read_head()
    if answer.status == 100:
        answer = line.read_head()

    assert line.read_body(answer).body == b"hello"


def test_an_unknown_expectation_is_refused(http, backend) -> None:
    line = http(backend()).connect()

    answer = line.ask("GET / HTTP/1.1\r\nHost: app\r\nExpect: the-impossible\r\n\r\n")

    assert answer.status == 417
    assert answer.reason == "expectation_failed"


@pytest.mark.parametrize("interim", ["103 Early Hints", "102 Processing", "150 Whatever"])
def test_interim_responses_pass_before_the_final_one(http, backend, interim: str) -> None:
    data = f"HTTP/1.1 {interim}\r\nLink: </a.css>\r\n\r\n".encode() + response(b"final")
    line = http(backend(keeping(lambda _: data))).connect()

    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    first = line.read_head()

    assert first.status == int(interim[:3])
    assert first.value("Link") == "</a.css>"
    assert line.read_response().body == b"final"


def test_a_100_that_nobody_asked_for_is_not_the_final_answer(http, backend) -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"final")
    line = http(backend(keeping(lambda _: data))).connect()

    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    answer = line.read_head()
    if answer.status == 100:
        answer = line.read_head()

    assert line.read_body(answer).body == b"final"
    assert line.is_silent(0.1)


def test_an_http_1_0_client_gets_no_interim_response(http, backend) -> None:
    data = b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(b"final")
    line = http(backend(keeping(lambda _: data))).connect()

    assert line.ask("GET / HTTP/1.0\r\nHost: app\r\n\r\n").body == b"final"


def test_interim_responses_without_end_are_a_bad_response(http, backend) -> None:
    data = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000
    line = http(backend(keeping(lambda _: data))).connect()

    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    count = 0
    while (answer := line.read_head()).status < 200:
        count += 1

    assert count <= 16
    assert answer.status == 502
    assert answer.reason == "bad_response"
