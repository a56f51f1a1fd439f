"""What the differential run says about somebody who reads otherwise."""

from __future__ import annotations

import pytest

from conformance import corpus, differential, strict, wire

REQUESTS = {case.name: case for case in corpus.read("requests")}
RESPONSES = {case.name: case for case in corpus.read("responses")}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def heard(*answers: bytes, closed: bool = False) -> wire.Heard:
    """What a client was answered."""
    messages = [strict.read_response(answer, "GET", ended=True) for answer in answers]
    return wire.Heard(messages, closed=closed)


def got(*requests: str) -> wire.Recorder:
    """What a backend got."""
    data = [request.encode("latin-1") for request in requests]
    return wire.Recorder([strict.read_request(each) for each in data])


@pytest.mark.parametrize(
    ("name", "seen", "verdict"),
    [
        ("bare-lf-1", ["GET / HTTP/1.1\r\nHost: corpus\r\n\r\n"], "takes"),
        ("bare-lf-1", ["GET / HTTP/1.1\r\nHost: corpus\r\n\r\n"] * 2, "boundary"),
        ("bare-lf-1", [corpus.SENTINEL], "boundary"),
        ("origin-form-3", ["GET / HTTP/1.1\r\nHost: corpus\r\n\r\n", corpus.SENTINEL], "changes"),
        ("nominated-1", ["GET /m HTTP/1.1\r\nHost: a\r\nX-Mine: 1\r\n\r\n"], "leaves in"),
        ("nominated-1", ["GET /m HTTP/1.1\r\nHost: a\r\nX-Other: 2\r\n\r\n"], differential.SAME),
    ],
)
def test_a_request_that_was_passed_on_otherwise_is_told(name, seen, verdict) -> None:
    finding = differential.judge_request(REQUESTS[name], heard(OK, OK), got(*seen))

    assert finding.verdict == verdict


def test_a_request_that_was_refused_otherwise_is_told() -> None:
    refusal = b"HTTP/1.1 501 X\r\nContent-Length: 0\r\n\r\n"
    case, nobody = REQUESTS["bare-lf-1"], wire.Recorder()

    def verdict(what: wire.Heard, of: corpus.Case = case) -> str:
        return differential.judge_request(of, what, nobody).verdict

    assert verdict(heard(refusal, closed=True)) == "another status"
    assert verdict(heard(refusal.replace(b"501", b"400"))) == "stays open"
    assert verdict(heard(refusal.replace(b"501", b"400"), closed=True)) == differential.SAME
    assert verdict(heard(closed=True)) == "cut"
    assert verdict(wire.Heard(hung=True)) == "waits"
    assert verdict(heard(refusal, closed=True), REQUESTS["values-1"]) == "refuses"
    odd = wire.Recorder(odd=["a header line"])
    assert differential.judge_request(case, heard(OK), odd).verdict == "taken as it is"


@pytest.mark.parametrize(
    ("name", "answers", "verdict"),
    [
        ("both-1", [OK, OK], "hands on"),
        ("switch-1", [b"HTTP/1.1 101 X\r\n\r\n"], "hands on"),
        ("both-1", [OK.replace(b"200", b"502"), OK], differential.SAME),
        ("behind-1", [OK.replace(b"ok", b"hi"), OK], "changes"),
        ("lengths-1", [OK.replace(b"2\r", b"5\r").replace(b"ok", b"hello"), OK], differential.SAME),
        ("truncated-1", [OK, OK], "shortens"),
    ],
)
def test_a_response_that_was_handed_on_otherwise_is_told(name, answers, verdict) -> None:
    finding = differential.judge_response(RESPONSES[name], heard(*answers), wire.Recorder())

    assert finding.verdict == verdict


def test_the_page_has_a_column_for_each() -> None:
    same = {name: differential.Finding(differential.SAME) for name in RESPONSES}
    other = same | {"both-1": differential.Finding("hands on", "200")}
    lines = differential.rules("responses", {"fairlead": same, "a": same, "b": other})

    row = next(line for line in lines if line.startswith("| `both` |"))
    assert row.endswith("| – | hands on 1 (`200`) of 4 |")
    assert not any(line.startswith("| `length` |") for line in lines), "nobody differs there"
