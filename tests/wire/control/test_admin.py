"""The admin address: who may ask, and backends and configurations changed at run time."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest

from harness.backend import free_port, saying
from harness.balancer import Balancer, loopback, wait_for
from harness.config import site

TOKEN = "correct-horse-battery-staple"


class Admin:
    """A client of an admin address."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port = port
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """A call: status and what was said."""
        status, _, said = self.answer(method, path, body, **headers)
        return status, said

    def answer(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """The same, with its headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        data = None if body is None else body if isinstance(body, str) else json.dumps(body)
        kind = "application/toml" if isinstance(body, str) else "application/json"
        sent = {"Content-Type": kind} if data is not None else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, data, sent | self._headers | named)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        is_json = "json" in (answer.headers["Content-Type"] or "")
        return answer.status, dict(answer.headers), json.loads(text) if is_json else text


@pytest.fixture
def port() -> int:
    return free_port()


def _admin(port: int, more: str = "") -> str:
    return f'[admin]\nlisten = "127.0.0.1:{port}"\n{more}\n'


def _answers(balancer: Balancer, listen: str, times: int = 12) -> set[bytes]:
    line = balancer.connect(listen)
    return {line.get().body for _ in range(times)}


def test_backends_are_added_drained_weighed_and_removed_at_run_time(fairlead, backend, port):
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, more=_admin(port)))
    admin = Admin(port)
    assert _answers(balancer, listen) == {b"one"}

    code, row = admin.ask("POST", "/v1/pools/app/backends", {"address": two.address, "weight": 3})
    assert (code, row["address"], row["weight"], row["state"]) == (201, two.address, 3, "enabled")
    assert _answers(balancer, listen) == {b"one", b"two"}
    path = f"/v1/pools/app/backends/{two.address}"
    assert admin.ask("PATCH", path, {"weight": 0})[1]["weight"] == 0
    assert _answers(balancer, listen) == {b"one"}
    assert admin.ask("GET", path)[1]["weight"] == 0
    code, row = admin.ask("DELETE", f"/v1/pools/app/backends/{one.address}")
    assert (code, row["address"]) == (200, one.address)
    assert set(balancer.backends()) == {two.address}
    assert admin.ask("PATCH", path, {"weight": 1})[0] == 200
    assert _answers(balancer, listen) == {b"two"}
    assert admin.ask("DELETE", path)[1]["code"] == "last_backend"


def test_what_was_added_and_removed_holds_over_a_reload(fairlead, backend):
    one, two, three = (backend(saying(name)) for name in ("one", "two", "three"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two))
    backends = "/v1/pools/app/backends"
    assert balancer.api("POST", backends, {"address": three.address})[0] == 201
    assert balancer.api("DELETE", f"{backends}/{one.address}")[0] == 200

    assert balancer.api("POST", "/v1/reload") == (200, {"changed": False, "steps": []})
    assert set(balancer.backends()) == {two.address, three.address}
    assert _answers(balancer, listen) == {b"two", b"three"}
    # The file says something else of it: the file is younger.
    balancer.config.write_text(site(listen, one, two, three))
    code, answer = balancer.api("POST", "/v1/reload")
    told = f"app/{three.address} was added at run time and is in the configuration now"
    assert (code, told in answer["steps"]) == (200, True), answer
    assert set(balancer.backends()) == {two.address, three.address}


def test_requests_under_way_on_a_removed_backend_are_finished(fairlead, backend):
    import threading

    gate = threading.Event()

    def late(line) -> None:
        line.read_head()
        gate.wait(10)
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    one, two = backend(late), backend(saying("two"))
    listen = loopback()
    config = site(listen, one, two, pool='policy = "first"\nretry = { hedge = "off" }')
    balancer = fairlead(config=config)
    line = balancer.connect(listen)
    line.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: balancer.backends()[one.address]["active"] == 1)
    assert balancer.api("DELETE", f"/v1/pools/app/backends/{one.address}")[0] == 200
    assert set(balancer.backends()) == {two.address}
    gate.set()

    assert line.read_response().body == b"late"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"address": "no.such.name.invalid:80"}, 422, "config"),
        ({"address": "127.0.0.1:1"}, 409, "backend_exists"),
        ({"address": "127.0.0.1"}, 422, "bad_address"),
        ({"address": "127.0.0.1:2", "wait": 3}, 400, "unknown_field"),
    ],
)
def test_a_backend_that_can_not_be_added_changes_nothing(fairlead, body, status, code):
    balancer = fairlead(config=site(loopback(), "127.0.0.1:1"))
    events = len(balancer.events())
    said = balancer.api("POST", "/v1/pools/app/backends", body)

    assert (said[0], said[1]["code"]) == (status, code), said
    assert set(balancer.backends()) == {"127.0.0.1:1"}
    assert len(balancer.events()) == events


def test_a_configuration_is_planned_used_and_told(fairlead, backend, port):
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, more=_admin(port, f'token = "{TOKEN}"')))
    admin = Admin(port, TOKEN)
    wanted = site(listen, one, two)

    steps = [f"add backend app/{two.address}"]
    assert admin.ask("POST", "/v1/config/plan", wanted) == (200, {"changed": True, "steps": steps})
    assert set(balancer.backends()) == {one.address}
    assert admin.ask("PUT", "/v1/config", wanted) == (200, {"changed": True, "steps": steps})
    assert set(balancer.backends()) == {one.address, two.address}
    code, text = admin.ask("GET", "/v1/config")
    assert (code, two.address in text, TOKEN in text) == (200, True, False)
    assert admin.ask("POST", "/v1/config/plan", text)[1] == {"changed": False, "steps": []}
    # The admin address is as it was, and a reload goes back to the file.
    assert Admin(port).ask("GET", "/v1/status")[0] == 401
    assert balancer.api("POST", "/v1/reload")[1]["steps"] == [f"remove backend app/{two.address}"]


def test_a_configuration_may_be_json(fairlead, backend):
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one))
    value = {
        "listeners": {"web": {"bind": listen, "pool": "app"}},
        "pools": {"app": {"backends": [two.address], "check": {"type": "none"}}},
    }

    assert balancer.api("PUT", "/v1/config", value)[0] == 200
    assert _answers(balancer, listen) == {b"two"}


def test_a_wrong_configuration_changes_nothing_and_names_each_mistake(fairlead, port):
    balancer = fairlead(config=site(loopback(), "127.0.0.1:1", more=_admin(port)))
    wrong = '[listeners.web]\nbind = 5.5\npool = "ap"\n[pools.app]\nbackends = []\n'
    code, answer = Admin(port).ask("POST", "/v1/config/plan", wrong)

    assert (code, answer["code"], answer["title"]) == (422, "config", "Unprocessable Content")
    assert {error["code"] for error in answer["errors"]} == {"type", "pool.unknown", "list.empty"}
    assert (answer["errors"][0]["line"], answer["errors"][0]["column"]) == (2, 8)
    assert set(balancer.backends()) == {"127.0.0.1:1"}
    own = site(loopback(), "127.0.0.1:1", more=_admin(free_port()))
    assert Admin(port).ask("POST", "/v1/config/plan", own)[1]["errors"][0]["code"] == "admin.within"


def test_over_tcp_a_configuration_takes_a_token(fairlead, port):
    fairlead(config=site(loopback(), "127.0.0.1:1", more=_admin(port)))

    code, answer = Admin(port).ask("PUT", "/v1/config", "workers = 1")
    assert (code, answer["code"]) == (403, "token_needed")


def test_a_token_is_wanted_and_can_be_changed_by_a_reload(fairlead, port):
    listen, name = loopback(), "token"
    balancer = fairlead(config=site(listen, "127.0.0.1:1"))
    secret = balancer.folder / name
    secret.write_text(f"{TOKEN}\n")
    balancer.config.write_text(
        site(listen, "127.0.0.1:1", more=_admin(port, f'token_file = "{secret}"'))
    )
    assert balancer.api("POST", "/v1/reload")[1]["steps"] == ["change admin"]

    assert Admin(port).ask("GET", "/healthz")[0] == 200
    for path in ("/v1/status", "/metrics", "/openapi.json", "/nothing"):
        assert Admin(port).ask("GET", path)[1]["code"] == "token_missing"
    assert Admin(port, "wrong" * 5).ask("GET", "/v1/status")[1]["code"] == "token_wrong"
    assert Admin(port, TOKEN).ask("GET", "/v1/status")[0] == 200
    secret.write_text("another-token-of-length")
    # Asked for over the very address whose token changes: the answer comes all the same.
    code, answer = Admin(port, TOKEN).ask("POST", "/v1/reload")
    assert (code, answer["steps"]) == (200, ["change admin"])
    assert Admin(port, TOKEN).ask("GET", "/v1/status")[0] == 401
    assert Admin(port, "another-token-of-length").ask("GET", "/v1/status")[0] == 200


@pytest.mark.parametrize("shown", ["", f"Bearer {TOKEN}0", f"Basic {TOKEN}"])
def test_who_has_no_token_is_challenged(fairlead, port, shown):
    fairlead(config=site(loopback(), "127.0.0.1:1", more=_admin(port, f'token = "{TOKEN}"')))

    sent = {"Authorization": shown} if shown else {}
    code, headers, _ = Admin(port).answer("GET", "/v1/status", **sent)
    assert (code, headers["WWW-Authenticate"]) == (401, 'Bearer realm="fairlead"')


def test_a_method_that_is_not_possible_names_those_that_are(fairlead, port):
    fairlead(config=site(loopback(), "127.0.0.1:1", more=_admin(port)))

    code, headers, _ = Admin(port).answer("DELETE", "/v1/status")
    assert (code, headers["Allow"]) == (405, "GET, HEAD")


def test_an_address_that_strangers_reach_needs_a_token(fairlead, port):
    from harness.balancer import run

    balancer = fairlead(config=site(loopback(), "127.0.0.1:1"))
    open_ = balancer.folder / "open.toml"
    admin = f'[admin]\nlisten = ":{port}"\n'
    open_.write_text(site(loopback(), "127.0.0.1:1", more=admin))
    done = run("check", str(open_))
    assert (done.returncode, "address.open" in done.stderr) == (2, True)
    open_.write_text(site(loopback(), "127.0.0.1:1", more=f'{admin}token = "{TOKEN}"'))
    assert run("check", str(open_)).returncode == 0


def test_the_admin_address_may_move_while_it_is_asked(fairlead, port):
    listen, other = loopback(), free_port()
    balancer = fairlead(config=site(listen, "127.0.0.1:1", more=_admin(port)))
    balancer.config.write_text(site(listen, "127.0.0.1:1", more=_admin(other)))

    assert Admin(port).ask("POST", "/v1/reload") == (
        200,
        {"changed": True, "steps": ["change admin"]},
    )
    assert Admin(other).ask("GET", "/healthz")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        Admin(port).ask("GET", "/healthz")


def test_names_of_others_and_pages_of_others_are_refused(fairlead, port):
    more = _admin(port, 'hosts = "lb1.example"')
    balancer = fairlead(config=site(loopback(), "127.0.0.1:1", more=more))
    admin = Admin(port)

    assert admin.ask("GET", "/v1/status", Host="evil.example")[1]["code"] == "forbidden_host"
    assert admin.ask("GET", "/v1/status", Host="LB1.example:9100")[0] == 200
    path = "/v1/pools/app/backends/127.0.0.1:1"
    said = admin.ask("PATCH", path, {"weight": 7}, Origin="https://evil.example")
    assert said[1]["code"] == "forbidden_origin"
    assert admin.ask("DELETE", path, Origin="null")[1]["code"] == "forbidden_origin"
    assert balancer.backends()["127.0.0.1:1"]["weight"] == 1


def test_a_body_that_is_too_long_is_refused_before_it_is_read(fairlead, port):
    fairlead(config=site(loopback(), "127.0.0.1:1", more=_admin(port)))
    begin = time.monotonic()
    body = {"address": "a" * 300_000}

    code, answer = Admin(port).ask("POST", "/v1/pools/app/backends", body)
    assert (code, answer["code"]) == (413, "body_too_large")
    assert time.monotonic() - begin < 8


def test_real_answers_have_the_forms_that_are_described(fairlead, backend, port):
    import jsonschema

    one = backend()
    listen = loopback()
    balancer = fairlead(config=f'access_log = "/dev/null"\n{site(listen, one, more=_admin(port))}')
    assert balancer.connect(listen).get().status == 200
    admin = Admin(port)
    described = admin.ask("GET", "/openapi.json")[1]
    pool = "/v1/pools/app"
    asked = {
        "/healthz": "/healthz",
        "/v1/status": "/v1/status",
        "/v1/pools": "/v1/pools",
        pool: "/v1/pools/{pool}",
        f"{pool}/backends": "/v1/pools/{pool}/backends",
        f"{pool}/backends/{one.address}": "/v1/pools/{pool}/backends/{address}",
        "/v1/events?follow=0": "/v1/events",
    }
    for path, template in asked.items():
        answer = admin.ask("GET", path)
        content = described["paths"][template]["get"]["responses"][str(answer[0])]["content"]
        schema = {**content["application/json"]["schema"], "components": described["components"]}
        jsonschema.validate(answer[1], schema)
    problem = admin.ask("GET", "/v1/pools/none")[1]
    schema = {"$ref": "#/components/schemas/Problem", "components": described["components"]}
    jsonschema.validate(problem, schema)
