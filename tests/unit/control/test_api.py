"""The admin API: what each route answers, and what it refuses."""

import asyncio
import json

import pytest

from fairlead.control.api import Api
from fairlead.control.events import EventLog
from fairlead.control.http import ApiError, Request


class Offer:
    def __init__(self):
        self.events = EventLog()
        self.stopping = False
        self.changes = []
        self.steps = ["add backend app/x:1"]
        self.backends = [
            {"address": "10.0.0.1:80", "state": "enabled", "weight": 1},
            {"address": "unix:/run/app.sock", "state": "enabled", "weight": 1},
        ]

    async def status(self):
        return b'{"workers": 1}'

    def pool_status(self, name):
        row = {"name": "app", "backends": self.backends}
        return json.dumps(row).encode() if name == "app" else None

    def pool_names(self):
        return ["app"]

    has_token = False

    async def add_backend(self, pool, backend):
        self.changes.append((pool, backend))
        row = {"address": backend.address, "state": backend.state, "weight": backend.weight}
        self.backends.append(row)

    async def remove_backend(self, pool, backend):
        self.changes.append((pool, backend))
        self.backends = [row for row in self.backends if row["address"] != backend]

    def config_text(self):
        return "workers = 1\n"

    async def plan_config(self, text, *, yaml):
        self.changes.append(("plan", text, yaml))
        return self.steps

    async def use_config(self, text, *, yaml):
        self.changes.append(("use", text, yaml))
        return self.steps

    async def metrics(self, *, openmetrics):
        return b"# EOF\n" if openmetrics else b"plain\n"

    def set_backend(self, pool, backend, state, weight):
        self.changes.append((pool, backend, state, weight))

    async def reload(self):
        return self.steps


@pytest.fixture
def offer():
    return Offer()


def ask(offer, method, target, body=b"", **headers):
    response = asyncio.run(Api(offer).answer(Request(method, target, headers, body)))
    return response.status, json.loads(response.body)


def refused(offer, method, target, body=b""):
    with pytest.raises(ApiError) as caught:
        ask(offer, method, target, body)
    return caught.value


def test_status_and_pools(offer):
    assert ask(offer, "GET", "/v1/status")[1]["workers"] == 1
    assert ask(offer, "GET", "/v1/pools")[1]["pools"][0]["name"] == "app"
    assert ask(offer, "GET", "/v1/pools/app")[1]["backends"] == offer.backends


@pytest.mark.parametrize(
    ("accept", "text", "content_type"),
    [
        ("*/*", b"plain\n", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text; version=1.0.0",
            b"# EOF\n",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
def test_metrics_come_in_the_dialect_that_is_asked_for(offer, accept, text, content_type):
    request = Request("GET", "/metrics", {"accept": accept})
    response = asyncio.run(Api(offer).answer(request))

    assert (response.body, response.content_type) == (text, content_type)


def test_healthz_tells_a_stop(offer):
    assert ask(offer, "GET", "/healthz") == (200, {"status": "ok"})
    offer.stopping = True
    assert ask(offer, "GET", "/healthz") == (503, {"status": "stopping"})


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("10.0.0.1%3A80", "10.0.0.1:80"),
        ("unix%3A%2Frun%2Fapp.sock", "unix:/run/app.sock"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
    ],
)
def test_a_backend_is_found_however_its_address_is_written(offer, address, name):
    status, row = ask(offer, "PATCH", f"/v1/pools/app/backends/{address}", b'{"state":"draining"}')
    assert (status, row["address"]) == (200, name)
    assert offer.changes == [("app", name, "draining", None)]


def test_state_and_weight_go_together_or_alone(offer):
    path = "/v1/pools/app/backends/10.0.0.1:80"
    ask(offer, "PATCH", path, b'{"state": "disabled", "weight": 0}')
    ask(offer, "PATCH", path, b'{"weight": 256}')
    assert [change[2:] for change in offer.changes] == [("disabled", 0), (None, 256)]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "bad_json", "not JSON"),
        (b"[" * 50_000, "bad_json", "not JSON"),
        (b"[]", "bad_json", "not a JSON object"),
        (b"{}", "bad_value", "neither"),
        (b'{"stat": "draining"}', "unknown_field", "stat"),
        (b'{"state": "enabled", "extra": 1}', "unknown_field", "extra"),
        (b'{"state": "drained"}', "bad_value", "enabled, draining, disabled"),
        (b'{"state": null}', "bad_value", "null"),
        (b'{"weight": 257}', "bad_value", "from 0 to 256"),
        (b'{"weight": true}', "bad_value", "true"),
        (b'{"weight": 1.5}', "bad_value", "1.5"),
        (b'{"weight": -1}', "bad_value", "-1"),
    ],
)
def test_wishes_that_make_no_sense_change_nothing(offer, body, code, words):
    error = refused(offer, "PATCH", "/v1/pools/app/backends/10.0.0.1:80", body)
    assert (error.status, error.code) == (400, code)
    assert words in str(error)
    assert offer.changes == []


def test_names_that_are_nearly_right_are_suggested(offer):
    assert refused(offer, "GET", "/v1/pools/ap").hint == "did you mean `app`?"
    error = refused(offer, "PATCH", "/v1/pools/app/backends/10.0.0.2:80", b'{"weight":1}')
    assert (error.status, error.code) == (404, "unknown_backend")
    assert error.hint == "did you mean `10.0.0.1:80`?"
    assert refused(offer, "GET", "/v1/statsu").hint == "did you mean /v1/status?"
    assert refused(offer, "GET", "/v1/pools/zzz").hint == "known: app"
    assert "there are: /healthz" in refused(offer, "GET", "/zzzzzz").hint


def test_methods_that_are_not_possible_name_those_that_are(offer):
    error = refused(offer, "POST", "/v1/status")
    assert (error.status, error.headers) == (405, (("Allow", "GET, HEAD"),))
    error = refused(offer, "GET", "/v1/reload")
    assert error.headers == (("Allow", "POST"),)


def test_unknown_parameters_are_refused(offer):
    error = refused(offer, "GET", "/v1/events?folow=0")
    assert (error.code, error.hint) == ("unknown_parameter", "known: follow, after")
    assert refused(offer, "GET", "/v1/status?x=1").hint == "there are none here"


@pytest.mark.parametrize("target", ["/v1/events?follow=0&follow=1", "/v1/events?follow=yes"])
def test_parameters_are_given_once_and_in_their_form(offer, target):
    assert refused(offer, "GET", target).code == "bad_value"


def test_a_body_where_there_is_none_to_be_is_refused(offer):
    assert refused(offer, "GET", "/v1/status", b"{}").code == "no_body"
    assert refused(offer, "DELETE", "/v1/pools/app/backends/10.0.0.1:80", b"{}").code == "no_body"
    assert offer.changes == []


def test_backends_are_listed_and_found(offer):
    assert ask(offer, "GET", "/v1/pools/app/backends")[1] == {"backends": offer.backends}
    found = ask(offer, "GET", "/v1/pools/app/backends/10.0.0.1:80")
    assert found == (200, offer.backends[0])


def test_a_backend_is_added_once_and_its_place_is_told(offer):
    request = Request("POST", "/v1/pools/app/backends", {}, b'{"address": "x:1", "weight": 3}')
    response = asyncio.run(Api(offer).answer(request))

    assert (response.status, json.loads(response.body)["weight"]) == (201, 3)
    assert response.headers == (("Location", "/v1/pools/app/backends/x%3A1"),)
    error = refused(offer, "POST", "/v1/pools/app/backends", b'{"address": "x:1"}')
    assert (error.status, error.code) == (409, "backend_exists")
    assert refused(offer, "POST", "/v1/pools/b/backends", b'{"address": "x:2"}').status == 404
    assert len(offer.changes) == 1


def test_the_last_backend_of_a_pool_stays(offer):
    gone = ask(offer, "DELETE", "/v1/pools/app/backends/10.0.0.1:80")
    assert (gone[0], gone[1]["address"]) == (200, "10.0.0.1:80")
    error = refused(offer, "DELETE", "/v1/pools/app/backends/unix:/run/app.sock")
    assert (error.status, error.code) == (409, "last_backend")
    assert refused(offer, "DELETE", "/v1/pools/app/backends/10.0.0.1:80").status == 404


def test_a_configuration_is_planned_and_used(offer):
    steps = {"changed": True, "steps": offer.steps}
    assert ask(offer, "POST", "/v1/config/plan", b"a = 1\n") == (200, steps)
    as_json = {"content-type": "application/json"}
    assert ask(offer, "PUT", "/v1/config", b'{"a": 1}', **as_json) == (200, steps)
    assert offer.changes == [("plan", "a = 1\n", False), ("use", '{"a": 1}', True)]
    response = asyncio.run(Api(offer).answer(Request("GET", "/v1/config", {})))
    assert (response.body, response.content_type) == (b"workers = 1\n", "application/toml")


def test_the_description_is_there(offer):
    described = ask(offer, "GET", "/openapi.json")[1]
    assert described["openapi"].startswith("3.1")
    assert "/v1/pools/{pool}" in described["paths"]


def test_a_reload_tells_its_steps(offer):
    assert ask(offer, "POST", "/v1/reload") == (200, {"changed": True, "steps": offer.steps})
    offer.steps = []
    assert ask(offer, "POST", "/v1/reload")[1] == {"changed": False, "steps": []}
    assert ask(offer, "POST", "/v1/reload", b"{ }")[0] == 200
    assert refused(offer, "POST", "/v1/reload", b'{"force": true}').code == "unknown_field"
    for body in (b"\t", b"[]", b"now"):
        assert refused(offer, "POST", "/v1/reload", body).code == "bad_json"


def test_recent_events_are_a_list(offer):
    assert ask(offer, "GET", "/v1/events?follow=0")[1] == {"events": []}
    offer.events.add(b'{"event":"a"}')
    offer.events.add(b'{"event":"b"}')
    events = ask(offer, "GET", "/v1/events?follow=0")[1]["events"]
    assert [(event["id"], event["event"]) for event in events] == [(1, "a"), (2, "b")]
    assert len(ask(offer, "GET", "/v1/events?follow=0&after=1")[1]["events"]) == 1


@pytest.mark.parametrize("query", ["follow=2", "after=x", "after=-1", "after="])
def test_bad_parameters_of_events_are_refused(offer, query):
    assert refused(offer, "GET", f"/v1/events?{query}").code == "bad_value"


def stream(offer, target, count, **headers):
    """The first pieces of a stream of events; two events come while it runs."""

    async def main():
        response = await Api(offer).answer(Request("GET", target, headers))
        assert response.content_type == "text/event-stream"
        pieces = [await anext(response.pieces)]
        offer.events.add(b'{"event":"health","why":"a"}')
        offer.events.add(b'{"event":"wish","what":"b"}')
        pieces += [await anext(response.pieces) for _ in range(count)]
        await response.pieces.aclose()
        assert offer.events._subscriptions == []
        return pieces

    return asyncio.run(main())


def test_events_are_followed_from_now_on(offer):
    offer.events.add(b'{"event":"old"}')
    hello, first, second = stream(offer, "/v1/events", 2)
    assert hello.startswith(b":")
    assert first == b'event: health\nid: 2\ndata: {"id":2,"event":"health","why":"a"}\n\n'
    assert second.startswith(b"event: wish\nid: 3\n")


def test_a_follower_may_go_on_where_it_was(offer):
    offer.events.add(b'{"event":"old"}')
    assert stream(offer, "/v1/events?after=0", 1)[1].startswith(b"event: old\nid: 1\n")
    pieces = stream(offer, "/v1/events", 1, **{"last-event-id": "1"})
    assert pieces[1].startswith(b"event: health\nid: 2\n")
