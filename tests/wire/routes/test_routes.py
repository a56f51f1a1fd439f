"""Which requests go to which pool."""

from __future__ import annotations

import json

import pytest

from harness.backend import keeping, response, saying
from harness.balancer import loopback
from harness.config import addresses


@pytest.fixture
def routed(fairlead, backend):
    """A listener with these routes; each pool's backend says the pool's name."""

    def start(*routes: dict[str, object], default: str | None = "default"):
        listen = loopback()
        pools = {str(route["pool"]) for route in routes} | ({default} if default else set())
        lines = [f'[listeners.web]\nbind = "{listen}"\n']
        if default:
            lines.append(f'pool = "{default}"\n')
        for route in routes:
            lines.append("[[listeners.web.routes]]\n")
            lines += [f"{key} = {_toml(value)}\n" for key, value in route.items()]
        for pool in sorted(pools):
            one = backend(saying(pool))
            lines.append(
                f'[pools.{pool}]\nbackends = {addresses(one)}\ncheck = {{ type = "none" }}\n'
            )
        balancer = fairlead(config="".join(lines))

        def ask(
            target: str = "/", host: str = "app.example", method: str = "GET", *headers: str
        ) -> str:
            more = "".join(f"{header}\r\n" for header in headers)
            with balancer.connect(listen) as line:
                answer = line.ask(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
            return (
                answer.body.decode() if answer.status == 200 else f"{answer.status} {answer.reason}"
            )

        return ask

    return start


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {_toml(item)}' for key, item in value.items()) + " }"
    return json.dumps(value)


def test_hosts_are_told_apart(routed) -> None:
    ask = routed(
        {"host": "api.example.com", "pool": "api"}, {"host": "www.example.com", "pool": "www"}
    )

    assert ask(host="api.example.com") == "api"
    assert ask(host="www.example.com") == "www"
    assert ask(host="other.example.com") == "default"


@pytest.mark.parametrize("host", ["API.example.com", "api.EXAMPLE.com:8080", "api.example.com:80"])
def test_a_host_is_the_same_in_any_case_and_with_a_port(routed, host: str) -> None:
    ask = routed({"host": "api.example.com", "pool": "api"})

    assert ask(host=host) == "api"


@pytest.mark.parametrize("length", [101, 128, 200, 253])
@pytest.mark.parametrize("star", [False, True], ids=["exact", "below a star"])
def test_a_long_host_is_the_same_in_any_case(routed, length: int, star: bool) -> None:
    end = ".Example.COM"
    labels = ("Label-of-a-service." * 20)[: length - len(end) - 1] + "x"
    host = labels + end
    assert len(host) == length
    ask = routed({"host": "*.eXample.com" if star else host, "pool": "long"})

    assert ask(host=host) == ask(host=host.lower()) == ask(host=host.upper()) == "long"
    assert ask(host=host.swapcase() + ":8080") == "long"
    assert ask(host=host[:-1] + "n") == "default"


def test_a_host_may_begin_with_a_star(routed) -> None:
    ask = routed({"host": "*.example.com", "pool": "any"})

    assert ask(host="a.example.com") == "any"
    assert ask(host="a.b.example.com") in ("any", "default")
    assert ask(host="example.com") == "default"
    assert ask(host="badexample.com") == "default"


def test_a_path_is_a_prefix(routed) -> None:
    ask = routed({"path": "/v1/", "pool": "v1"})

    assert ask("/v1/") == "v1"
    assert ask("/v1/users?x=1") == "v1"
    assert ask("/v2/") == "default"
    assert ask("/x/v1/") == "default"


def test_the_query_is_no_part_of_a_path(routed) -> None:
    ask = routed({"path_exact": "/only", "pool": "exact"})

    assert ask("/only") == "exact"
    assert ask("/only?x=1") == "exact"
    assert ask("/only/") == "default"
    assert ask("/?/only") == "default"


def test_a_path_may_be_a_regular_expression(routed) -> None:
    ask = routed({"path_regex": r"^/user/[0-9]+$", "pool": "user"})

    assert ask("/user/42") == "user"
    assert ask("/user/me") == "default"


def test_a_method_decides(routed) -> None:
    ask = routed({"method": "PUT", "pool": "write"})

    assert ask(method="PUT") == "write"
    assert ask(method="GET") == "default"


def test_a_header_decides(routed) -> None:
    ask = routed({"header": {"X-Canary": "yes"}, "pool": "canary"})

    assert ask("/", "app", "GET", "X-Canary: yes") == "canary"
    assert ask("/", "app", "GET", "x-canary: yes") == "canary"
    assert ask("/", "app", "GET", "X-Canary: no") == "default"
    assert ask() == "default"


def test_all_conditions_of_a_route_must_hold(routed) -> None:
    ask = routed({"host": "api.example.com", "path": "/v1/", "method": "GET", "pool": "both"})

    assert ask("/v1/", "api.example.com") == "both"
    assert ask("/v2/", "api.example.com") == "default"
    assert ask("/v1/", "www.example.com") == "default"


def test_the_first_match_wins(routed) -> None:
    ask = routed({"path": "/a/", "pool": "first"}, {"path": "/a/b/", "pool": "second"})

    assert ask("/a/b/") == "first"


def test_without_a_default_pool_the_rest_is_not_found(routed) -> None:
    ask = routed({"path": "/a/", "pool": "a"}, default=None)

    assert ask("/a/") == "a"
    assert ask("/b/") == "404 no_route"


@pytest.mark.parametrize("target", ["/%76%31/", "//v1/", "/v2/../v1/", "/V1/"])
def test_what_is_decided_on_is_what_is_sent_on(fairlead, backend, target: str) -> None:
    """No normalising on one side of the decision only: the backend sees the same bytes."""
    listen = loopback()
    one = backend(keeping(lambda request: response(b"v1 " + request.target.encode())))
    other = backend(keeping(lambda request: response(b"other " + request.target.encode())))
    config = f"""
        [listeners.web]
        bind = "{listen}"
        pool = "other"
        [[listeners.web.routes]]
        path = "/v1/"
        pool = "v1"
        [pools.v1]
        backends = {addresses(one)}
        [pools.other]
        backends = {addresses(other)}
    """

    assert fairlead(config=config).connect(listen).get(target).body == f"other {target}".encode()


def test_requests_of_one_connection_may_go_to_different_pools(fairlead, backend) -> None:
    listen = loopback()
    a, b = backend(saying("a")), backend(saying("b"))
    config = f"""
        [listeners.web]
        bind = "{listen}"
        pool = "b"
        routes = [{{ path = "/a", pool = "a" }}]
        [pools.a]
        backends = {addresses(a)}
        [pools.b]
        backends = {addresses(b)}
    """
    line = fairlead(config=config).connect(listen)

    assert [line.get(target).body for target in ("/a", "/b", "/a", "/b")] == [
        b"a",
        b"b",
        b"a",
        b"b",
    ]
