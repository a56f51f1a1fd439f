"""What is for the next hop only, and what fairlead adds."""

from __future__ import annotations

import pytest

from harness.backend import chunked, keeping, response
from harness.balancer import loopback
from harness.config import site


@pytest.fixture
def seen(http, backend):
    """Sends a GET with these header lines; what the backend saw."""
    one = backend()
    balancer = http(one)

    def send(*headers: str, host: str = "app.example"):
        with balancer.connect() as line:
            answer = line.get("/", *headers, host=host)
            assert answer.status == 200, answer
        return one.requests[-1]

    return send


@pytest.fixture
def trusting(fairlead, backend):
    """The same behind a proxy that is trusted."""
    one, listen = backend(), loopback()
    balancer = fairlead(config=site(listen, one, listener='trusted_proxies = ["127.0.0.0/8"]'))

    def send(*headers: str):
        assert balancer.connect(listen).get("/", *headers).status == 200
        return one.requests[-1]

    return send


@pytest.mark.parametrize(
    "header",
    [
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: gzip",
        "Upgrade: h2c",
        "Upgrade: foo/2",
    ],
)
def test_hop_by_hop_headers_of_a_request_stay_here(seen, header: str) -> None:
    request = seen(header)

    name = header.split(":", maxsplit=1)[0]
    assert header.split(": ")[1] not in (request.value(name) or "")


def test_headers_that_connection_names_stay_here(seen) -> None:
    request = seen("Connection: close, X-Secret", "X-Secret: 1", "X-Other: 2")

    assert not request.has("X-Secret")
    assert request.value("X-Other") == "2"
    assert "X-Secret" not in (request.value("Connection") or "")


def test_connection_can_not_take_away_what_we_add(seen) -> None:
    """Traefik's GHSA-62c8-mh53-4cqv: `Connection: X-Forwarded-For` removed the real one."""
    request = seen(
        "Connection: close, X-Forwarded-For, X-Request-Id, Host", "X-Forwarded-For: 6.6.6.6"
    )

    assert request.value("X-Forwarded-For") == "127.0.0.1"
    assert request.has("X-Request-Id")
    assert request.value("Host") == "app.example"


def test_connection_can_not_take_away_what_a_trusted_proxy_says(trusting) -> None:
    """The proxy may hand on a `Connection` that its client wrote (Apache's CVE-2022-31813)."""
    request = trusting(
        "Connection: X-Forwarded-For, X-Forwarded-Proto, X-Request-Id, Content-Type",
        "X-Forwarded-For: 9.9.9.9",
        "X-Forwarded-Proto: https",
        "X-Request-Id: abc-123",
        "Content-Type: text/plain",
    )

    assert request.value("X-Forwarded-For") == "9.9.9.9, 127.0.0.1"
    assert request.value("X-Forwarded-Proto") == "https"
    assert request.value("X-Request-Id") == "abc-123"
    assert request.value("Content-Type") == "text/plain"


def test_trailers_that_connection_names_stay_here(http, backend) -> None:
    """RFC 9110 §7.6.1 says header or trailer."""
    data = chunked(
        b"hi",
        trailers="X-Inner: 1\r\nX-Sum: 42\r\n",
        head="HTTP/1.1 200 OK\r\nConnection: x-inner\r\n",
    )
    one = backend(keeping(lambda _: data))
    line = http(one).connect()

    answer = line.ask(
        "POST / HTTP/1.1\r\nHost: app\r\nConnection: X-Mine\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nhi\r\n0\r\nx-mine: 1\r\nX-Sum: 42\r\n\r\n"
    )

    assert one.requests[0].trailers == [("X-Sum", "42")]
    assert answer.trailers == [("X-Sum", "42")]


def test_trailers_are_wanted_of_this_hop(seen) -> None:
    """RFC 9110 §10.1.4: what says TE says so in Connection, too."""
    request = seen("TE: gzip;q=0.5, trailers")

    assert request.value("TE") == "trailers"
    assert request.value("Connection") == "TE"


def test_hop_by_hop_headers_of_a_response_stay_here(http, backend) -> None:
    data = response(
        b"hello",
        headers={
            "Connection": "keep-alive, X-Inner",
            "Keep-Alive": "timeout=5",
            "X-Inner": "1",
            "X-Outer": "2",
            "Proxy-Connection": "keep-alive",
        },
    )
    answer = http(backend(keeping(lambda _: data))).connect().get()

    assert not answer.has("X-Inner")
    assert not answer.has("Keep-Alive")
    assert not answer.has("Proxy-Connection")
    assert answer.value("X-Outer") == "2"


def test_ordinary_headers_pass_in_order_and_as_they_are_written(http, backend) -> None:
    one = backend(keeping(lambda _: response(b"", headers={"sEt-CookIe": "a=b", "X-B": "ä"})))
    line = http(one).connect()

    answer = line.get(
        "/", "aCCept: */*", "Cookie: a=b", "X-Two: 1", "X-Two: 2", "Accept-Encoding: br"
    )

    names = [name for name, _ in one.requests[0].headers]
    ours = [
        name for name in names if name in ("Host", "aCCept", "Cookie", "X-Two", "Accept-Encoding")
    ]
    assert ours == ["Host", "aCCept", "Cookie", "X-Two", "X-Two", "Accept-Encoding"]
    assert one.requests[0].values("x-two") == ["1", "2"]
    assert ("sEt-CookIe", "a=b") in answer.headers
    assert answer.value("X-B") == "ä"


def test_the_host_is_kept(seen) -> None:
    assert seen(host="www.example.org:8443").value("Host") == "www.example.org:8443"


def test_forwarding_headers_say_who_and_how(seen) -> None:
    request = seen()

    assert request.value("X-Forwarded-For") == "127.0.0.1"
    assert request.value("X-Forwarded-Proto") == "http"
    assert request.value("X-Forwarded-Host") == "app.example"


def test_what_a_stranger_claims_is_replaced(seen) -> None:
    request = seen(
        "X-Forwarded-For: 6.6.6.6",
        "x-forwarded-for: 7.7.7.7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "X-Request-Id: mine",
    )

    assert request.value("X-Forwarded-For") == "127.0.0.1"
    assert request.value("X-Forwarded-Proto") == "http"
    assert request.value("X-Forwarded-Host") == "app.example"
    assert request.value("X-Request-Id") != "mine"


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-Tls-Client-Cert",
        "x-forwarded-client-certificate-of-whom",
        "X_Forwarded_Tls_Client_Cert_Info",
        "X-Forwarded-" + "a" * 300,
    ],
)
def test_a_long_name_is_as_little_believed_as_a_short_one(http, backend, name: str) -> None:
    """Traefik tells backends by `X-Forwarded-Tls-Client-Cert` who a client has proved to be."""
    one = backend()
    line = http(one).connect()

    line.ask(
        f"POST / HTTP/1.1\r\nHost: app\r\n{name}: admin\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"2\r\nhi\r\n0\r\n{name}: admin\r\nX-Sum: 42\r\n\r\n"
    )

    assert not one.requests[0].has(name)
    assert one.requests[0].trailers == [("X-Sum", "42")]


def test_every_request_has_an_id_of_its_own(http, backend) -> None:
    one = backend()
    line = http(one).connect()

    for _ in range(20):
        line.get()

    ids = {request.value("X-Request-Id") for request in one.requests}
    assert len(ids) == 20
    assert None not in ids


def test_what_a_trusted_proxy_says_is_kept(trusting) -> None:
    request = trusting(
        "X-Forwarded-For: 9.9.9.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: www.example.org",
        "X-Request-Id: abc-123",
    )

    assert request.value("X-Forwarded-For") == "9.9.9.9, 127.0.0.1"
    assert request.value("X-Forwarded-Proto") == "https"
    assert request.value("X-Forwarded-Host") == "www.example.org"
    assert request.value("X-Request-Id") == "abc-123"


def test_a_trusted_proxy_that_says_nothing_gets_the_usual(trusting) -> None:
    request = trusting()

    assert request.value("X-Forwarded-For") == "127.0.0.1"
    assert request.value("X-Forwarded-Proto") == "http"
    assert request.has("X-Request-Id")


def test_a_network_that_is_not_trusted_stays_so(fairlead, backend) -> None:
    one = backend()
    listen = loopback()
    balancer = fairlead(config=site(listen, one, listener='trusted_proxies = ["10.0.0.0/8"]'))

    balancer.connect(listen).get("/", "X-Forwarded-For: 9.9.9.9")

    assert one.requests[0].value("X-Forwarded-For") == "127.0.0.1"


def test_an_absolute_target_rules_over_the_host_header(http, backend) -> None:
    """RFC 9112 §3.2.2: a proxy replaces Host by the target's authority."""
    one = backend()
    line = http(one).connect()

    answer = line.ask("GET http://right.example/x HTTP/1.1\r\nHost: wrong.example\r\n\r\n")

    assert answer.status == 200
    assert one.requests[0].target == "/x"
    assert one.requests[0].value("Host") == "right.example"
