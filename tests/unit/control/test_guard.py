"""Who may ask: not a page in the user's browser, and nobody without the token."""

import pytest

from fairlead.control.guard import Access
from fairlead.control.http import ApiError, Request
from fairlead.control.routes import ROUTES

TOKEN = "0123456789abcdef"
HERE = "127.0.0.1"


def route(name):
    return next(each for each in ROUTES if each.name == name)


def ask(method="GET", body=b"", access=None, to="status", local=HERE, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(method, "/", {"host": "localhost:9100", **named}, body)
    (access or Access(tcp=True)).check(request, route(to) if to else None, local)


def refused(*args, **more):
    with pytest.raises(ApiError) as caught:
        ask(*args, **more)
    return caught.value.status, caught.value.code


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:9100", "[::1]:9100"])
def test_own_names_are_answered(host):
    ask(host=host)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:9100"])
def test_other_names_are_refused_against_rebinding(host):
    assert refused(host=host) == (403, "forbidden_host")


@pytest.mark.parametrize(
    ("host", "local"),
    [("10.0.0.1:9100", "10.0.0.1"), ("[fe80::1]", "fe80::1%eth0"), ("10.0.0.1", "::ffff:10.0.0.1")],
)
def test_the_address_itself_is_a_name_of_it(host, local):
    ask(host=host, local=local)


def test_an_address_is_not_reached_by_that_of_another_machine():
    assert refused(host="127.0.0.1", local="10.0.0.1") == (403, "forbidden_host")


def test_names_that_are_configured_are_answered():
    access = Access(tcp=True, hosts=frozenset(["lb.example"]))
    ask(host="LB.example:9100", access=access)
    assert refused(host="x.lb.example", access=access)[1] == "forbidden_host"


@pytest.mark.parametrize("tcp", [True, False])
def test_writes_from_other_pages_are_refused_on_any_socket(tcp):
    access = Access(tcp=tcp)
    for origin in ("https://evil.example", "null", "http://[", "https://localhost"):
        said = refused("POST", to="reload", access=access, origin=origin)
        assert said == (403, "forbidden_origin")


def test_own_pages_and_programs_may_write():
    ask("POST", to="reload", origin="http://localhost:9100")
    ask("POST", to="reload")
    ask("GET", origin="https://evil.example")


def test_a_body_over_tcp_must_say_that_it_is_json():
    to = "change_backend"
    assert refused("PATCH", b"{}", to=to, content_type="text/plain") == (415, "wrong_type")
    assert refused("PATCH", to=to, content_length="2") == (415, "wrong_type")
    ask("PATCH", b"{}", to=to, content_type="application/json; charset=utf-8")
    ask("PATCH", b"{}", to=to, access=Access())


@pytest.mark.parametrize("tcp", [True, False])
def test_a_token_is_wanted_for_all_but_healthz(tcp):
    access = Access(tcp=tcp, token=TOKEN)
    ask(access=access, to="healthz")
    ask(access=access, authorization=f"Bearer {TOKEN}")
    ask(access=access, authorization=f"bearer  {TOKEN} ")
    assert refused(access=access) == (401, "token_missing")
    assert refused(access=access, to=None) == (401, "token_missing")
    for wrong in (f"Bearer {TOKEN}0", f"Bearer {TOKEN[1:]}", f"Basic {TOKEN}", "Bearer \u00e9"):
        assert refused(access=access, authorization=wrong) == (401, "token_wrong")


def test_a_whole_configuration_over_tcp_takes_a_token():
    toml = {"content_type": "application/toml"}
    assert refused("PUT", b"x", to="use_config", **toml) == (403, "token_needed")
    access = Access(tcp=True, token=TOKEN)
    ask("PUT", b"x", to="use_config", access=access, authorization=f"Bearer {TOKEN}", **toml)
    ask("PUT", b"x", to="use_config", access=Access())
