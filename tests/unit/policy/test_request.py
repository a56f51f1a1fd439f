"""A request as a policy sees it."""

import pytest

from fairlead.policy.request import Headers, Request

HEAD = b"PUT /a/b?c=d HTTP/1.1\r\nHost: x:80\r\nX-Tier:  gold \r\nX-tier: tin\r\nY:\r\n\r\n"


def test_a_request_is_read_when_it_is_looked_at():
    request = Request("web", ("192.0.2.1", 4000), 1, HEAD, b"body")
    assert (request.method, request.target, request.path) == ("PUT", "/a/b?c=d", "/a/b")
    assert (request.host, request.client, request.client_port) == ("x:80", "192.0.2.1", 4000)
    assert (request.attempts, request.listener, request.body_prefix) == (1, "web", b"body")
    assert request.headers is request.headers
    assert repr(request) == "<PUT /a/b?c=d of 192.0.2.1 on web>"


def test_headers_have_no_case_and_may_stand_several_times():
    headers = Request("web", head=HEAD).headers
    assert headers["X-TIER"] == "gold"
    assert headers.all("x-tier") == ["gold", "tin"]
    assert headers["y"] == ""
    assert headers.all("z") == []
    assert dict(headers) == {"host": "x:80", "x-tier": "gold", "y": ""}
    assert len(headers) == 3
    with pytest.raises(KeyError):
        headers["z"]


def test_a_connection_has_no_head():
    request = Request("db")
    assert (request.method, request.target, request.path, request.host) == ("", "", "", "")
    assert (request.client, request.client_port, len(request.headers)) == (None, 0, 0)
    assert repr(request) == "<connection of None on db>"


def test_bytes_that_are_no_ascii_are_read_as_they_are():
    request = Request("web", head="GET /\xe9 HTTP/1.1\r\nA: \xfc\r\n\r\n".encode("latin-1"))
    assert (request.target, request.headers["a"]) == ("/\xe9", "\xfc")
    assert list(Headers(b"no colon\r\nA:b:c")) == ["a"]
