"""Requests that are refused: what two parsers could read in two ways, and what is not HTTP.

Each is answered with a status, `X-Fairlead-Reason` and a closed connection, and none of its bytes
reaches a backend. Most come from advisories of other balancers.
"""

from __future__ import annotations

import pytest

HOST = "Host: app\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
END = "\r\n"
LAST = "0\r\n\r\n"

FRAMING = {
    "both lengths": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\n{CHUNKED}\r\n{LAST}",
    "both lengths, other order": f"POST / HTTP/1.1\r\n{HOST}{CHUNKED}Content-Length: 5\r\n\r\n{LAST}",
    "two lengths": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two lengths in one": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 5, 6\r\n\r\nhello",
    "length with plus": f"POST / HTTP/1.1\r\n{HOST}Content-Length: +5\r\n\r\nhello",
    "length with minus": f"POST / HTTP/1.1\r\n{HOST}Content-Length: -5\r\n\r\nhello",
    "length in hexadecimal": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 0x5\r\n\r\nhello",
    "length with underscore": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 1_0\r\n\r\nhellohello",
    "empty length": f"POST / HTTP/1.1\r\n{HOST}Content-Length:\r\n\r\n",
    "length over 64 bits": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 18446744073709551617\r\n\r\nx",
    "length with letters": f"POST / HTTP/1.1\r\n{HOST}Content-Length: five\r\n\r\nhello",
    "length with a space inside": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 1 0\r\n\r\nhellohello",
    "chunked twice": f"POST / HTTP/1.1\r\n{HOST}{CHUNKED}{CHUNKED}\r\n{LAST}",
    "chunked, chunked": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, chunked\r\n\r\n{LAST}",
    "chunked not last": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, gzip\r\n\r\n{LAST}",
    "empty coding": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding:\r\n\r\n{LAST}",
    "quoted coding": f'POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: "chunked"\r\n\r\n{LAST}',
    "coding with vertical tab": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: \x0bchunked\r\n\r\n{LAST}",
    "chunked in HTTP/1.0": f"POST / HTTP/1.0\r\n{HOST}{CHUNKED}\r\n{LAST}",
}

CHUNKS = {
    "no size": "\r\nhello\r\n",
    "minus": "-5\r\nhello\r\n",
    "plus": "+5\r\nhello\r\n",
    "prefix": "0x5\r\nhello\r\n",
    "underscore": "0_5\r\nhello\r\n",
    "space before": " 5\r\nhello\r\n",
    "size over 64 bits": "10000000000000005\r\nhello\r\n",
    "longer than said": "5\r\nhelloworld\r\n",
    "shorter than said": "5\r\nhell\r\n0\r\n\r\n",
    "bare LF after size": "5\nhello\r\n",
    "bare LF after data": "5\r\nhello\n",
    "bare CR in extension": "5;a\rb\r\nhello\r\n",
    "LF in extension": "5;a\nb\r\nhello\r\n",
    "not hexadecimal": "g\r\nhello\r\n",
    "nothing but space": " \r\n",
}

SYNTAX = {
    "bare LF after the request line": f"GET / HTTP/1.1\n{HOST}\r\n",
    "bare LF after a header": "GET / HTTP/1.1\r\nHost: app\nX: y\r\n\r\n",
    "bare LF at the end": f"GET / HTTP/1.1\r\n{HOST}\n",
    "bare CR in a value": f"GET / HTTP/1.1\r\n{HOST}X: a\rb\r\n\r\n",
    "NUL in a value": f"GET / HTTP/1.1\r\n{HOST}X: a\x00b\r\n\r\n",
    "control byte in a value": f"GET / HTTP/1.1\r\n{HOST}X: a\x01b\r\n\r\n",
    "DEL in a value": f"GET / HTTP/1.1\r\n{HOST}X: a\x7fb\r\n\r\n",
    "space before the colon": f"GET / HTTP/1.1\r\n{HOST}X : y\r\n\r\n",
    "tab before the colon": f"GET / HTTP/1.1\r\n{HOST}X\t: y\r\n\r\n",
    "space before the colon of a length": f"POST / HTTP/1.1\r\n{HOST}Content-Length : 5\r\n\r\nhello",
    "empty name": f"GET / HTTP/1.1\r\n{HOST}: y\r\n\r\n",
    "no colon": f"GET / HTTP/1.1\r\n{HOST}nonsense\r\n\r\n",
    "bad byte in a name": f"GET / HTTP/1.1\r\n{HOST}X(: y\r\n\r\n",
    "folded line": f"GET / HTTP/1.1\r\n{HOST}X: a\r\n b\r\n\r\n",
    "space before the first header": f"GET / HTTP/1.1\r\n {HOST}\r\n",
    "no Host": "GET / HTTP/1.1\r\n\r\n",
    "two Hosts": f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n",
    "two different Hosts": f"GET / HTTP/1.1\r\n{HOST}Host: other\r\n\r\n",
    "Host with a space": "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "Host with a slash": "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Host with an at": "GET / HTTP/1.1\r\nHost: user@app\r\n\r\n",
    "Host with a comma": "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
    "two spaces in the request line": f"GET  / HTTP/1.1\r\n{HOST}\r\n",
    "tab in the request line": f"GET\t/\tHTTP/1.1\r\n{HOST}\r\n",
    "space in the target": f"GET /a b HTTP/1.1\r\n{HOST}\r\n",
    "fragment in the target": f"GET /a#b HTTP/1.1\r\n{HOST}\r\n",
    "NUL in the target": f"GET /\x00 HTTP/1.1\r\n{HOST}\r\n",
    "no leading slash": f"GET index.html HTTP/1.1\r\n{HOST}\r\n",
    "bad byte in the method": f"G@T / HTTP/1.1\r\n{HOST}\r\n",
    "no version": f"GET /\r\n{HOST}\r\n",
    "lower-case version": f"GET / http/1.1\r\n{HOST}\r\n",
    "version of one digit": f"GET / HTTP/1\r\n{HOST}\r\n",
    "version of many digits": f"GET / HTTP/1.10\r\n{HOST}\r\n",
    "blank before the request line": f" GET / HTTP/1.1\r\n{HOST}\r\n",
    "a TLS hello": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "x" * 60 + "\r\n\r\n",
    "a response": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


def refused(http, backend, request: str):
    """What fairlead answers; also that it closed and that no backend saw a whole request."""
    one = backend()
    line = http(one).connect()
    line.send(request)
    answer = line.read_response()
    assert answer.reason is not None, answer
    assert line.is_closed(), "the connection is of no more use"
    assert one.requests == []
    return answer


@pytest.mark.parametrize("name", FRAMING)
def test_a_length_that_could_be_read_in_two_ways_is_refused(http, backend, name: str) -> None:
    answer = refused(http, backend, FRAMING[name])

    assert answer.status in (400, 501)
    assert answer.reason in ("bad_framing", "bad_request", "not_implemented")


@pytest.mark.parametrize("name", ["both lengths", "two lengths", "chunked in HTTP/1.0"])
def test_such_a_length_is_bad_framing(http, backend, name: str) -> None:
    answer = refused(http, backend, FRAMING[name])

    assert answer.status == 400
    assert answer.reason == "bad_framing"


@pytest.mark.parametrize("name", SYNTAX)
def test_what_is_not_http_is_refused(http, backend, name: str) -> None:
    answer = refused(http, backend, SYNTAX[name])

    assert answer.status in (400, 505)
    assert answer.reason in ("bad_request", "bad_framing", "version_not_supported")


@pytest.mark.parametrize(
    "name", ["no Host", "two Hosts", "NUL in a value", "space before the colon"]
)
def test_such_a_head_is_a_bad_request(http, backend, name: str) -> None:
    answer = refused(http, backend, SYNTAX[name])

    assert answer.status == 400
    assert answer.reason == "bad_request"


@pytest.mark.parametrize("name", CHUNKS)
def test_a_chunk_that_could_be_read_in_two_ways_is_refused(http, backend, name: str) -> None:
    """The head has gone out by then; so the backend's connection is broken off, too."""
    one = backend()
    line = http(one).connect()

    line.send(f"POST / HTTP/1.1\r\n{HOST}{CHUNKED}\r\n")
    line.send(CHUNKS[name])
    line.send("GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\n")
    answer = line.read_response()

    assert answer.status == 400
    assert answer.reason in ("bad_framing", "bad_request")
    assert line.is_closed()
    assert all("/smuggled" not in request.start for request in one.requests)


@pytest.mark.parametrize("method", ["CONNECT app:80", "CONNECT app.example:443"])
def test_connect_is_refused(http, backend, method: str) -> None:
    answer = refused(http, backend, f"{method} HTTP/1.1\r\n{HOST}\r\n")

    assert answer.status in (405, 501)
    assert answer.reason == "not_implemented"


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "identity", "xchunked"])
def test_transfer_codings_that_are_not_supported_are_refused(http, backend, coding: str) -> None:
    answer = refused(
        http, backend, f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: {coding}\r\n\r\n{LAST}"
    )

    assert answer.status in (400, 501)


def test_a_coding_that_is_not_supported_is_said_to_be_so(http, backend) -> None:
    answer = refused(
        http, backend, f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n"
    )

    assert answer.status == 501
    assert answer.reason == "not_implemented"


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9"])
def test_versions_that_are_not_supported_are_refused(http, backend, version: str) -> None:
    answer = refused(http, backend, f"GET / {version}\r\n{HOST}\r\n")

    assert answer.status in (400, 505)


def test_http_2_without_tls_is_refused_as_a_version(http, backend) -> None:
    line = http(backend()).connect()

    line.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    answer = line.read_response()

    assert answer.status in (400, 505)
    assert answer.reason in ("version_not_supported", "bad_request")


def test_a_later_minor_version_is_served_as_1_1(http, backend) -> None:
    """RFC 9110 §2.5: read as the highest minor version that the recipient knows; 505 is for a major
    one. Both neighbours are told the version of fairlead itself (RFC 9112 §2.3)."""
    one = backend()
    line = http(one).connect()

    for version in ("HTTP/1.2", "HTTP/1.9"):
        answer = line.ask(f"GET / {version}\r\nHost: app\r\n\r\n")
        assert (answer.status, answer.version) == (200, "HTTP/1.1")

    assert [request.version for request in one.requests] == ["HTTP/1.1"] * 2
    without_host = line.ask("GET / HTTP/1.2\r\n\r\n")
    assert (without_host.status, without_host.reason) == (400, "bad_request"), "as of 1.1"


def test_an_answer_of_our_own_is_plain_and_says_why(http, backend) -> None:
    answer = refused(http, backend, f"GET / HTTP/9.9\r\n{HOST}\r\n")

    assert answer.status == 505
    assert answer.reason == "version_not_supported"
    assert (answer.value("Content-Type") or "").startswith("text/plain")
    assert answer.body.count(b"\n") <= 1
    assert answer.body.strip()
    assert answer.value("Connection") == "close"


def test_what_a_client_does_wrong_is_no_evidence_against_a_backend(http, backend) -> None:
    one = backend()
    balancer = http(one)

    for request in [*SYNTAX.values(), *FRAMING.values()]:
        with balancer.connect() as line:
            line.send(request)
            line.read_to_end()

    row = balancer.backends()[one.address]
    assert row["health"] in ("healthy", "unknown")
    assert row["failures"] == 0
    assert balancer.connect().get().status == 200
