"""HTTP of the control plane: bounded, and nothing that a client sends reaches further."""

import asyncio
import socket

import pytest

from fairlead.control import http
from fairlead.control.http import ApiError, Exchanges, Request, Response, as_json

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def talk(sent, answer=None, *, finish=True):
    """Send bytes on one connection; everything that came back, and the requests seen."""
    seen = []

    async def echo(request):
        seen.append(request)
        return as_json({"body": request.body.decode()})

    async def main():
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs)
        running = asyncio.ensure_future(Exchanges(reader, writer, answer or echo).run())
        our_reader, our_writer = await asyncio.open_connection(sock=ours)
        our_writer.write(sent)
        if finish:
            our_writer.write_eof()
        data = await our_reader.read()
        our_writer.close()
        await running
        return data

    return asyncio.run(main()), seen


def test_requests_on_a_kept_connection_are_answered_in_order():
    data, seen = talk(GET + GET + LAST)
    assert data.count(b"HTTP/1.1 200") == 3
    assert [request.target for request in seen] == ["/x"] * 3


def test_a_body_is_read_whole():
    body = b"PATCH / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    _, seen = talk(body + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert seen[0] == Request("PATCH", "/", seen[0].headers, b"abcde")


def test_a_client_that_waits_is_asked_for_its_body():
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    data, _ = talk(head + b"hi")
    assert b"200" in data.split(b"\r\n")[0] or data.startswith(b"HTTP/1.1 100")


def test_head_has_no_body():
    data, seen = talk(LAST.replace(b"GET", b"HEAD"))
    assert data.endswith(b"\r\n\r\n")
    assert seen[0].method == "GET"


@pytest.mark.parametrize(
    "garbage",
    [b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"],
)
def test_garbage_is_refused_and_the_connection_closed(garbage):
    data, seen = talk(garbage, finish=False)
    assert data.startswith(b"HTTP/1.1 400")
    assert seen == []


def test_a_head_without_end_is_refused():
    data, _ = talk(b"GET / HTTP/1.1\r\nX: " + b"a" * (http.HEAD_BYTES_MAX + 1), finish=False)
    assert data.startswith(b"HTTP/1.1 431")


def test_a_body_without_end_is_refused():
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
    data, seen = talk(head + b"a" * (http.BODY_BYTES_MAX + 1), finish=False)
    assert data.startswith(b"HTTP/1.1 413")
    assert seen == []


def test_half_a_request_ends_without_an_answer_worth_reading():
    _, seen = talk(b"GET /x HT")
    assert seen == []


def test_a_request_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(http, "_IDLE_SECONDS", 0.01)
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.01)
    assert talk(b"GET", finish=False) == (b"", [])
    data, _ = talk(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na", finish=False)
    assert data == b""


def test_refusals_are_json_with_a_hint():
    async def refuse(_):
        raise ApiError(404, "unknown_pool", "there is no pool `x`", hint="did you mean `y`?")

    data, _ = talk(LAST, refuse)
    assert data.startswith(b"HTTP/1.1 404")
    assert b"\r\nContent-Type: application/problem+json\r\n" in data
    assert b'"title": "Not Found", "status": 404, "detail": "there is no pool `x`"' in data
    assert b'"code": "unknown_pool", "hint": "did you mean `y`?"' in data
    assert b"did you mean `y`?" in data


def test_a_fault_of_ours_costs_one_answer():
    calls = []

    async def fail_once(request):
        calls.append(request)
        if len(calls) == 1:
            raise ZeroDivisionError("oops")
        return as_json({})

    data, _ = talk(GET + LAST, fail_once)
    assert data.startswith(b"HTTP/1.1 500")
    assert b"HTTP/1.1 200" in data


def test_pieces_come_as_they_come_and_end_with_their_reader():
    closed = []

    async def pieces():
        try:
            yield b"one"
            yield b"two"
        finally:
            closed.append(True)

    async def stream(_):
        return Response(200, content_type="text/plain", pieces=pieces())

    data, _ = talk(LAST, stream)
    assert b"3\r\none\r\n3\r\ntwo\r\n0\r\n" in data
    assert closed == [True]
