"""Clients whose address a trusted proxy tells by a PROXY header."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from harness import proxy
from harness.backend import echo, response
from harness.balancer import dial, loopback, wait_for
from harness.config import site

TRUSTING = 'trusted_proxies = ["127.0.0.0/8"]\nproxy_protocol = true\n'
NOT_US = 'trusted_proxies = ["10.0.0.0/8"]\nproxy_protocol = true\n'

GET = b"GET / HTTP/1.1\r\nHost: app.example\r\n\r\n"


@pytest.fixture
def web(fairlead, backend):
    """An http listener that expects PROXY headers from loopback; its backend beside it."""

    def start(listener: str = TRUSTING, **more):
        one = backend()
        listen = loopback()
        balancer = fairlead(config=site(listen, one, listener=listener, **more))
        return balancer, one, lambda: balancer.connect(listen)

    return start


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (proxy.v1(), "203.0.113.9"),
        (proxy.v2(), "203.0.113.9"),
        (proxy.v1("2001:db8::7", to="2001:db8::1"), "2001:db8::7"),
        (proxy.v2("2001:db8::7", to="2001:db8::1"), "2001:db8::7"),
        (proxy.v2("::ffff:203.0.113.9", to="::1"), "203.0.113.9"),
        (proxy.v2(tlvs=b"\x01\x00\x02h2\x04\x00\x00\xe0\x00\x01x"), "203.0.113.9"),
    ],
)
def test_the_address_of_a_header_is_the_clients(web, header: bytes, client: str) -> None:
    _, one, connect = web()
    line = connect()

    assert line.ask(header + GET, "GET").status == 200
    assert line.get().status == 200, "the header speaks for the whole connection"

    assert [request.value("X-Forwarded-For") for request in one.requests] == [client, client]


@pytest.mark.parametrize("header", [proxy.v1(), proxy.v2()])
def test_a_header_may_come_in_pieces(web, header: bytes) -> None:
    _, one, connect = web()
    line = connect()
    line.send_slowly(header + GET, pause=0.001)

    assert line.read_response().status == 200
    assert one.requests[0].value("X-Forwarded-For") == "203.0.113.9"


@pytest.mark.parametrize("header", [proxy.local(), b"PROXY UNKNOWN\r\n"])
def test_what_a_proxy_does_for_itself_comes_from_the_proxy(web, header: bytes) -> None:
    _, one, connect = web()

    assert connect().ask(header + GET, "GET").status == 200
    assert one.requests[0].value("X-Forwarded-For") == "127.0.0.1"


def test_what_the_client_claims_is_believed_only_of_a_trusted_client(web) -> None:
    """The proxy vouches for the address, not for what passes through it."""
    claims = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 6.6.6.6\r\nX-Request-Id: mine\r\n\r\n")
    _, one, connect = web()

    headers = (proxy.v2(), b"PROXY UNKNOWN\r\n", proxy.v2("127.0.0.9"), proxy.local())
    for number, header in enumerate(headers):
        named = claims.replace(b"GET /", b"GET /%d" % number)
        assert connect().ask(header + named, "GET").status == 200

    requests = sorted(one.requests, key=lambda request: request.target)
    stranger, unknown, trusted, itself = requests
    assert stranger.value("X-Forwarded-For") == "203.0.113.9"
    assert unknown.value("X-Forwarded-For") == "127.0.0.1"
    assert trusted.value("X-Forwarded-For") == "6.6.6.6, 127.0.0.9"
    assert itself.value("X-Forwarded-For") == "6.6.6.6, 127.0.0.1"
    assert [request.value("X-Request-Id") == "mine" for request in requests] == [
        False, False, True, True,
    ]  # fmt: skip


def test_who_is_not_trusted_is_an_ordinary_client_whatever_it_sends(web) -> None:
    balancer, one, connect = web(NOT_US)

    assert connect().ask(GET, "GET").status == 200
    refused = connect().ask(proxy.v1() + GET, "GET")

    assert (refused.status, refused.reason) == (400, "bad_request")
    assert [request.value("X-Forwarded-For") for request in one.requests] == ["127.0.0.1"]
    assert "bad_proxy_header" not in balancer.listener()["reasons"]


def test_a_listener_that_does_not_ask_for_headers_takes_none(web) -> None:
    _, one, connect = web('trusted_proxies = ["127.0.0.0/8"]')

    refused = connect().ask(proxy.v1() + GET, "GET")

    assert (refused.status, one.requests) == (400, [])


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (GET, "does not begin with a PROXY header"),
        (b"PROXY TCP4 203.0.113.9 198.51.100.1 4711\r\n" + GET, "not of the form of version 1"),
        (b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\n" + GET, "does not end with CRLF"),
        (proxy.v2(tlvs=b"\x01\x00\x09h2") + GET, "longer than the header"),
        (proxy.v2(tlvs=b"\x03\x00\x04\x00\x00\x00\x00") + GET, "checksum is wrong"),
        (proxy.v2(command=0x22) + GET, "neither LOCAL nor PROXY"),
        (proxy.SIGNATURE + b"\x21\x11\xff\xff" + GET, "longer than 16 KiB"),
    ],
)
def test_what_is_no_header_is_refused_with_a_reason(web, sent: bytes, why: str) -> None:
    balancer, one, connect = web(more='[access_log]\nto = "log"')
    line = connect()

    answer = line.ask(sent, "GET")

    assert (answer.status, answer.reason) == (400, "bad_proxy_header")
    assert why in answer.body.decode()
    assert line.is_closed()
    assert one.lines == []
    balancer.wait_for_reason("bad_proxy_header")
    log = balancer.folder / "log"
    row = json.loads(wait_for(lambda: log.exists() and log.read_text()).splitlines()[0])
    assert (row["reason"], row["client"]) == ("bad_proxy_header", "127.0.0.1")


def test_a_header_that_does_not_come_is_not_waited_for_longer_than_a_head(web) -> None:
    listener = TRUSTING + 'timeouts = { head = "300ms" }'
    balancer, _, connect = web(listener)
    silent, half = connect(), connect()
    half.send(proxy.v2()[:20])
    started = time.monotonic()

    for line in (silent, half):
        answer = line.read_response()
        assert (answer.status, answer.reason) == (408, "proxy_header_timeout")

    assert 0.2 < time.monotonic() - started < 3
    wait_for(lambda: balancer.listener()["connections_active"] == 0)


def test_who_connects_only_to_look_is_let_go_without_a_word(web) -> None:
    balancer, _, connect = web()
    line = connect()
    line.finish()

    assert line.is_closed()
    wait_for(lambda: balancer.listener()["connections_active"] == 0)
    assert "bad_proxy_header" not in balancer.listener()["reasons"]


def test_logs_and_hashes_know_the_client_and_not_the_proxy(fairlead, backend) -> None:
    backends = [backend() for _ in range(4)]
    listen = loopback()
    balancer = fairlead(
        config=site(listen, *backends, listener=TRUSTING, pool='policy = "hash"',
                    more='[access_log]\nto = "log"')
    )  # fmt: skip
    clients = [f"203.0.113.{number}" for number in range(40)]

    for client in clients * 2:
        balancer.connect(listen).ask(proxy.v2(client) + GET, "GET")

    where = [{request.value("X-Forwarded-For") for request in one.requests} for one in backends]
    assert sum(map(len, where)) == len(clients), "each client has one backend"
    assert all(where), "and they are spread"
    log = balancer.folder / "log"
    rows = wait_for(
        lambda: len(lines := log.read_text().splitlines()) == 80 and [json.loads(x) for x in lines]
    )
    assert {(row["client"], row["client_port"]) for row in rows} == {
        (client, 4711) for client in clients
    }


def test_a_tcp_client_is_known_by_its_header_too(fairlead, backend) -> None:
    """The backend gets none of it, and all that came behind it."""
    one = backend(echo)
    listen = loopback()
    balancer = fairlead(
        config=site(listen, one, listener=TRUSTING, protocol="tcp", more='[access_log]\nto = "log"')
    )
    line = balancer.connect(listen)
    line.send(proxy.v1() + b"early ")
    line.send(b"and late")

    assert line.read(14) == b"early and late"
    line.finish()
    assert line.read_to_end() == b""
    log = balancer.folder / "log"
    row = json.loads(wait_for(lambda: log.exists() and log.read_text()))
    assert (row["client"], row["client_port"], row["bytes_in"]) == ("203.0.113.9", 4711, 14)


def test_much_that_comes_with_a_header_is_passed_on_whole(fairlead, backend) -> None:
    one = backend(echo)
    listen = loopback()
    balancer = fairlead(config=site(listen, one, listener=TRUSTING, protocol="tcp"))
    data = bytes(range(256)) * 4096
    line = balancer.connect(listen)
    line.socket.setblocking(False)
    sent, got = 0, b""
    whole = proxy.v2() + data
    end = time.monotonic() + 20
    while len(got) < len(data):
        assert time.monotonic() < end
        with contextlib.suppress(BlockingIOError):
            sent += line.socket.send(whole[sent : sent + 65536]) if sent < len(whole) else 0
        try:
            got += line.socket.recv(65536)
        except BlockingIOError:
            time.sleep(0.001)

    assert got == data


@pytest.mark.parametrize("sent", [b"hello\r\n", b"PROXY TCP4 nobody nowhere 1 2\r\n"])
def test_a_tcp_client_without_a_header_is_reset(fairlead, backend, sent: bytes) -> None:
    one = backend(echo)
    listen = loopback()
    balancer = fairlead(config=site(listen, one, listener=TRUSTING, protocol="tcp"))
    line = balancer.connect(listen)
    line.send(sent)

    with pytest.raises(ConnectionResetError):
        line.read_to_end()
    assert one.lines == []
    balancer.wait_for_reason("bad_proxy_header")


def test_on_a_unix_socket_everybody_owes_a_header(fairlead, backend, short_path) -> None:
    one = backend()
    listen = f"unix:{short_path}/web.sock"
    fairlead(config=site(listen, one, listener="proxy_protocol = true"))

    assert dial(listen).ask(proxy.v2() + GET, "GET").status == 200
    assert dial(listen).ask(GET, "GET").reason == "bad_proxy_header"
    assert one.requests[0].value("X-Forwarded-For") == "203.0.113.9"


def test_a_header_asked_for_by_a_reload_is_owed_from_then_on(web, backend) -> None:
    balancer, one, connect = web("")
    before = connect()
    assert before.get().status == 200
    text = balancer.config.read_text()

    assert balancer.reload(text.replace('pool = "app"', f'pool = "app"\n{TRUSTING}', 1))[0] == 200

    assert before.get().status == 200, "a connection goes on as it began"
    assert connect().ask(GET, "GET").reason == "bad_proxy_header"
    assert connect().ask(proxy.v1() + GET, "GET").status == 200
    assert one.requests[-1].value("X-Forwarded-For") == "203.0.113.9"


def test_a_stop_does_not_wait_for_headers(fairlead, backend) -> None:
    one = backend(lambda line: line.send(response()))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, listener=TRUSTING))
    line = balancer.connect(listen)
    wait_for(lambda: balancer.listener()["connections_active"] == 1)

    assert balancer.stop(patience=8) == 0
    assert line.read_response().status in (408, 503)


def test_a_clients_share_of_connections_is_counted_by_its_own_address(web) -> None:
    """All of them come from one proxy."""
    balancer, _, connect = web(TRUSTING + "limits = { connections_per_client = 1 }")
    first, other, second = connect(), connect(), connect()

    assert first.ask(proxy.v2("203.0.113.1") + GET, "GET").status == 200
    assert other.ask(proxy.v2("203.0.113.2") + GET, "GET").status == 200
    refused = second.ask(proxy.v2("203.0.113.1") + GET, "GET")
    assert (refused.status, refused.reason) == (503, "client_full")
    first.close()
    wait_for(lambda: balancer.listener()["connections_active"] == 1)

    assert connect().ask(proxy.v2("203.0.113.1") + GET, "GET").status == 200
