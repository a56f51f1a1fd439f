"""Who may ask: not a page in the user's browser."""

import pytest

from fairlead.control.guard import check
from fairlead.control.http import ApiError, Request


def ask(method="GET", body=b"", tcp=True, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    check(Request(method, "/v1/status", {"host": "localhost:9100", **named}, body), tcp=tcp)


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:9100", "[::1]:9100"])
def test_own_names_are_answered(host):
    ask(host=host)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:9100"])
def test_other_names_are_refused_against_rebinding(host):
    with pytest.raises(ApiError) as caught:
        ask(host=host)
    assert (caught.value.status, caught.value.code) == (403, "forbidden_host")


def test_writes_from_other_pages_are_refused_on_any_socket():
    for tcp in (True, False):
        with pytest.raises(ApiError) as caught:
            ask("POST", tcp=tcp, origin="https://evil.example")
        assert caught.value.code == "forbidden_origin"
    with pytest.raises(ApiError):
        ask("POST", origin="null")


def test_own_pages_and_programs_may_write():
    ask("POST", origin="http://localhost:9100")
    ask("POST")
    ask("GET", origin="https://evil.example")


def test_a_body_over_tcp_must_say_that_it_is_json():
    with pytest.raises(ApiError) as caught:
        ask("PATCH", b"{}", content_type="text/plain")
    assert caught.value.status == 415
    ask("PATCH", b"{}", content_type="application/json; charset=utf-8")
    ask("PATCH", b"{}", tcp=False)
