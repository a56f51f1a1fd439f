"""Backends that are told by a PROXY header who the client is."""

from __future__ import annotations

import pytest

from harness import proxy
from harness.backend import saying
from harness.balancer import dial, loopback, wait_for
from harness.config import site

VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])


def after_header(play, said: list):
    """A backend that reads a header first, and then plays."""

    def whole(line) -> None:
        said.append(proxy.take(line))
        play(line)

    return whole


def ports(line) -> tuple[str, str]:
    """Both ends of a connection, as a header names them."""
    return tuple("{}:{}".format(*place[:2]) for place in (line.socket.getsockname(), line.socket.getpeername()))  # fmt: skip


@VERSIONS
def test_tcp_backends_learn_of_the_client_before_its_first_byte(
    fairlead, backend, version: str
) -> None:
    said: list[proxy.Said] = []
    greeting = after_header(lambda line: line.send(b"220 ready\r\n"), said)
    one = backend(greeting)
    listen = loopback()
    balancer = fairlead(
        config=site(listen, one, protocol="tcp", pool=f'proxy_protocol = "{version}"')
    )
    line = balancer.connect(listen)

    assert line.read_line() == b"220 ready", "the backend speaks first"
    assert said == [proxy.Said(version, "PROXY", *ports(line))]


@VERSIONS
def test_http_backends_get_a_connection_for_each_request(fairlead, backend, version: str) -> None:
    """A header speaks for a whole connection: none is lent to another client."""
    said: list[proxy.Said] = []
    one = backend(after_header(saying("hello"), said))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, pool=f'proxy_protocol = "{version}"'))
    lines = [balancer.connect(listen) for _ in range(3)]

    for _ in range(2):
        for line in lines:
            assert line.get().body == b"hello"
            assert (
                line.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi").status == 200
            )

    expected = [proxy.Said(version, "PROXY", *ports(line)) for line in lines for _ in range(4)]
    assert sorted(said) == sorted(expected)
    assert [len(line.requests) for line in one.lines] == [1] * 12


@VERSIONS
@pytest.mark.parametrize("check", ['type = "tcp"', 'type = "http"\npath = "/healthz"'])
def test_checks_say_that_they_are_our_own(fairlead, backend, version: str, check: str) -> None:
    said: list[proxy.Said] = []
    one = backend(after_header(saying("well"), said))
    check = ", ".join(check.splitlines())
    balancer = fairlead(
        config=site(loopback(), one, check=check, pool=f'proxy_protocol = "{version}"')
    )
    balancer.wait_for_health(one.address, "healthy")

    wait_for(lambda: said)
    assert set(said) == {proxy.Said(version, "LOCAL")}


def test_what_one_proxy_said_is_told_to_the_next(fairlead, backend) -> None:
    said: list[proxy.Said] = []
    one = backend(after_header(saying("hello"), said))
    listen = loopback()
    listener = 'trusted_proxies = ["127.0.0.0/8"]\nproxy_protocol = true'
    balancer = fairlead(config=site(listen, one, listener=listener, pool='proxy_protocol = "v2"'))
    get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

    assert balancer.connect(listen).ask(proxy.v1() + get, "GET").status == 200
    six = proxy.v2("2001:db8::7", to="2001:db8::1")
    assert balancer.connect(listen).ask(six + get, "GET").status == 200

    assert said == [
        proxy.Said("v2", "PROXY", "203.0.113.9:4711", "198.51.100.1:443"),
        proxy.Said("v2", "PROXY", "2001:db8::7:4711", "2001:db8::1:443"),
    ]


@VERSIONS
def test_a_client_without_an_address_has_none(fairlead, backend, short_path, version: str) -> None:
    said: list[proxy.Said] = []
    one = backend(after_header(saying("hello"), said))
    listen = f"unix:{short_path}/web.sock"
    fairlead(config=site(listen, one, pool=f'proxy_protocol = "{version}"'))

    assert dial(listen).get().status == 200
    assert said == [proxy.Said(version, "LOCAL" if version == "v1" else "PROXY")]


def test_a_request_that_goes_to_a_second_backend_is_introduced_there_too(fairlead, backend) -> None:
    said: list[proxy.Said] = []
    first = backend(after_header(lambda line: line.read_head(), said))
    second = backend(after_header(saying("second"), said))
    listen = loopback()
    balancer = fairlead(
        config=site(listen, first, second, pool='policy = "first"\nproxy_protocol = "v2"')
    )
    line = balancer.connect(listen)

    assert line.get().body == b"second"
    assert set(said) == {proxy.Said("v2", "PROXY", *ports(line))}
    assert len(said) == 2


def test_a_reload_that_asks_for_headers_uses_no_connection_from_before(fairlead, backend) -> None:
    """And none with a header is kept for after one that asks for none."""
    said: list[proxy.Said] = []
    kept = saying("plain")

    def either(line) -> None:
        if line.peek(3)[:3] != b"GET":
            said.append(proxy.take(line))
        kept(line)

    one = backend(either)
    listen = loopback()
    plain = site(listen, one)
    headers = site(listen, one, pool='proxy_protocol = "v2"')
    balancer = fairlead(config=plain)
    line = balancer.connect(listen)
    assert line.get().status == 200

    assert balancer.reload(headers)[0] == 200
    assert [line.get().status for _ in range(2)] == [200, 200]
    assert len(said) == 2
    assert balancer.reload(plain)[0] == 200
    assert [line.get().status for _ in range(3)] == [200, 200, 200]

    assert len(said) == 2
    assert sum(len(each.requests) for each in one.lines) == 6
