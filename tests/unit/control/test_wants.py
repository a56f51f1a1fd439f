"""What bodies may say."""

import json

import pytest

from fairlead.config.schema import Backend
from fairlead.control import wants
from fairlead.control.http import ApiError, Request
from fairlead.errors import ConfigError, ConfigErrors


def refused(function, *arguments):
    with pytest.raises(ApiError) as caught:
        function(*arguments)
    return caught.value


def test_a_new_backend_has_an_address_and_perhaps_more():
    body = b'{"address": "http://App1:8000", "weight": 2.0, "group": 1, "max_connections": 9}'
    assert wants.new_backend(body) == Backend("App1:8000", 2, 1, 9)
    body = b'{"address": "unix:/run/a", "state": "draining", "weight": 0}'
    assert wants.new_backend(body) == Backend("unix:/run/a", 0, state="draining")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "`address` is missing"),
        (b'{"address": 1}', "`address` is 1"),
        (b'{"address": "a:1", "weight": 257}', "from 0 to 256"),
        (b'{"address": "a:1", "weight": 1.5}', "1.5"),
        (b'{"address": "a:1", "max_connections": 0}', "from 1 to"),
        (b'{"address": "a:1", "max_connections": null}', "null"),
        (b'{"address": "a:1", "state": ["enabled"]}', "expected one of"),
        (b'{"address": "a:1", "tls": true}', "no field `tls`"),
        (b"[]", "not a JSON object"),
    ],
)
def test_a_backend_that_can_not_be_is_refused(body, words):
    error = refused(wants.new_backend, body)
    assert (error.status, words in str(error)) == (400, True), str(error)


@pytest.mark.parametrize("address", ["app1", "app1:0", "", "unix:run", "a:1*3", "a:1,b:1"])
def test_a_text_that_is_no_address_can_not_be_used(address):
    error = refused(wants.new_backend, json.dumps({"address": address}).encode())
    assert (error.status, error.code) == (422, "bad_address")


@pytest.mark.parametrize("body", [b"\xff", b" ", b"{"])
def test_a_configuration_is_text_of_its_kind(body):
    request = Request("PUT", "/", {"content-type": "application/json"}, body)
    assert refused(wants.config, request).status == 400


def test_mistakes_of_a_configuration_are_told_one_by_one():
    errors = ConfigErrors([ConfigError("key.missing", "no `bind`", "one", None, "add it")])
    answer = wants.wrong_config(errors)
    assert (answer.status, answer.code) == (422, "config")
    assert answer.errors == (
        {
            "code": "key.missing",
            "message": "no `bind`: expected one",
            "hint": "add it",
            "line": None,
            "column": None,
        },
    )
