"""The access log: what stands in its lines."""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.backend import echo, free_port, response, saying
from harness.balancer import loopback, wait_for
from harness.config import site

HTTP_FIELDS = [
    "time",
    "listener",
    "client",
    "client_port",
    "method",
    "host",
    "path",
    "protocol",
    "status",
    "reason",
    "bytes_in",
    "bytes_out",
    "duration_ms",
    "pool",
    "backend",
    "attempts",
    "request_id",
    "user_agent",
    "referer",
]
COMBINED = re.compile(
    r"(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "
    r'"([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"'
)


@pytest.fixture
def path(tmp_path) -> Path:
    """Where the log goes."""
    return tmp_path / "access.log"


def lines(path: Path, count: int = 1) -> list[dict]:
    """The lines, once there are so many; no more come with them."""

    def whole() -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    wait_for(lambda: len(whole()) >= count, otherwise=lambda: f"only {whole()}")
    found = whole()
    assert len(found) == count, found
    assert all(line.isascii() and line.isprintable() for line in found)
    return [json.loads(line) for line in found]


def test_an_answered_request_is_told_with_every_field(http, backend, path) -> None:
    one = backend(saying("hello"))
    balancer = http(one, "--access-log", str(path))
    before = datetime.now(UTC)

    line = balancer.connect()
    answer = line.get("/a/b?c=d", "User-Agent: probe/1", "Referer: http://x.example/")

    (entry,) = lines(path)
    assert list(entry) == HTTP_FIELDS
    told = datetime.fromisoformat(entry["time"])
    assert abs((told - before).total_seconds()) < 5
    assert entry["time"].endswith("Z")
    assert (entry["client"], entry["client_port"]) == line.socket.getsockname()
    assert entry["request_id"] == one.requests[0].value("X-Request-Id")
    assert entry["bytes_out"] >= len(answer.raw_head) + len(answer.body)
    assert entry["bytes_in"] > len("GET /a/b?c=d HTTP/1.1")
    assert 0 < entry["duration_ms"] < 5000
    expected = {
        "listener": "web",
        "method": "GET",
        "host": "app.example",
        "path": "/a/b?c=d",
        "protocol": "HTTP/1.1",
        "status": 200,
        "reason": "ok",
        "pool": "app",
        "backend": one.address,
        "attempts": 1,
        "user_agent": "probe/1",
        "referer": "http://x.example/",
    }
    assert {key: entry[key] for key in expected} == expected


def test_requests_of_one_connection_are_told_in_order(http, backend, path) -> None:
    balancer = http(backend(), "--access-log", str(path))

    with balancer.connect() as line:
        for number in range(50):
            line.get(f"/{number}")

    assert [entry["path"] for entry in lines(path, 50)] == [f"/{number}" for number in range(50)]
    # A line is counted when it has been written.
    wait_for(lambda: balancer.status()["access_log"] == {"lines": 50, "lost": 0})


def test_bytes_are_those_of_heads_and_bodies(http, backend, path) -> None:
    balancer = http(backend(saying("x" * 100_000)), "--access-log", str(path))

    with balancer.connect() as line:
        line.ask(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 50000\r\n\r\n" + b"y" * 50_000)

    (entry,) = lines(path)
    assert 50_000 < entry["bytes_in"] < 50_200
    assert 100_000 < entry["bytes_out"] < 100_300


def test_a_request_that_went_on_to_another_backend_counts_its_attempts(http, backend, path) -> None:
    well = backend()
    dead = f"127.0.0.1:{free_port()}"
    balancer = http(dead, well, "--policy", "first", "--access-log", str(path))

    balancer.connect().get()

    (entry,) = lines(path)
    assert (entry["attempts"], entry["backend"], entry["reason"]) == (2, well.address, "ok")


def test_answers_of_our_own_have_their_reason(http, path) -> None:
    dead = f"127.0.0.1:{free_port()}"
    balancer = http(dead, "--access-log", str(path))

    answer = balancer.connect().get("/")

    (entry,) = lines(path)
    assert (entry["status"], entry["reason"]) == (503, answer.reason) == (503, "connect_refused")
    assert (entry["backend"], entry["pool"]) == (dead, "app")


def test_a_broken_answer_has_the_reason_that_the_client_saw(http, backend, path) -> None:
    balancer = http(backend(lambda line: line.send(b"rubbish\r\n\r\n")), "--access-log", str(path))

    answer = balancer.connect().ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

    (entry,) = lines(path)
    assert (entry["status"], entry["reason"]) == (502, answer.reason) == (502, "bad_response")


@pytest.mark.parametrize(
    ("request_bytes", "first_line"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1"),
        (b'GET /"} \x1b[2J HTTP/1.1\r\n\r\n', 'GET /"} \x1b[2J HTTP/1.1'),
        (b"\xff\x00{}\r\n\r\n", "\ufffd\x00{}"),
    ],
)
def test_what_is_no_request_is_told_and_can_forge_nothing(
    http, backend, path, request_bytes: bytes, first_line: str
) -> None:
    balancer = http(backend(), "--access-log", str(path))

    answer = balancer.connect().ask(request_bytes, to="GET")

    (entry,) = lines(path)
    assert (entry["status"], entry["reason"]) == (answer.status, answer.reason)
    assert answer.status == 400
    assert entry["refused"] == first_line
    assert entry["method"] is entry["path"] is entry["request_id"] is entry["pool"] is None


def test_hostile_headers_stay_in_their_fields(http, backend, path) -> None:
    balancer = http(backend(), "--access-log", str(path))
    hostile = b'","status":200}\\ \xff\xc2\x9b\t{'

    balancer.connect().ask(
        b"GET /?%22%0a HTTP/1.1\r\nHost: a\r\nUser-Agent: " + hostile + b"\r\n\r\n", to="GET"
    )

    (entry,) = lines(path)
    assert entry["user_agent"] == '","status":200}\\ \ufffd\x9b\t{'
    assert entry["path"] == "/?%22%0a"


def test_a_client_cannot_choose_its_request_id(http, backend, path) -> None:
    balancer = http(backend(), "--access-log", str(path))

    balancer.connect().get("/", "X-Request-Id: mine", "X-Forwarded-For: 192.0.2.1")

    (entry,) = lines(path)
    assert re.fullmatch("[0-9a-f]{32}", entry["request_id"])
    assert "forwarded_for" not in entry


def test_a_trusted_proxys_word_is_told(fairlead, backend, path) -> None:
    listen = loopback()
    trusting = 'trusted_proxies = ["127.0.0.0/8"]'
    balancer = fairlead(
        config=f'access_log = "{path}"\n' + site(listen, backend(), listener=trusting)
    )

    balancer.connect(listen).get("/", "X-Request-Id: theirs", "X-Forwarded-For: 192.0.2.1")

    (entry,) = lines(path)
    assert entry["request_id"] == "theirs"
    assert entry["forwarded_for"].startswith("192.0.2.1")


def test_a_request_that_no_route_takes_is_told(fairlead, backend, path) -> None:
    listen = loopback()
    balancer = fairlead(
        config=f"""
            access_log = "{path}"
            [listeners.web]
            bind = "{listen}"
            routes = [{{ path = "/app/", pool = "app" }}]
            [pools.app]
            backends = ["{backend().address}"]
        """
    )

    answer = balancer.connect(listen).get("/other", "X-Request-Id: mine")

    (entry,) = lines(path)
    assert answer.status == 404
    assert (entry["status"], entry["reason"], entry["path"]) == (404, "no_route", "/other")
    assert entry["request_id"] is None, "this one is the client's own"
    assert entry["attempts"] == 0


def test_a_head_that_does_not_come_in_time_is_told(fairlead, backend, path) -> None:
    listen = loopback()
    balancer = fairlead(
        config=f'access_log = "{path}"\n'
        + site(listen, backend(), listener='timeouts = { head = "100ms" }')
    )

    line = balancer.connect(listen)
    line.send("GET / HT")
    assert line.read_response().status == 408

    (entry,) = lines(path)
    assert (entry["status"], entry["reason"]) == (408, "request_timeout")


def test_a_client_that_leaves_is_told_without_a_status(http, backend, path) -> None:
    gate = threading.Event()

    def play(line) -> None:
        line.read_request()
        gate.wait(10)

    slow = backend(play)
    balancer = http(slow, "--access-log", str(path))

    line = balancer.connect()
    line.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: slow.requests)
    line.reset()

    (entry,) = lines(path)
    gate.set()
    assert (entry["status"], entry["reason"]) == (0, "client_gone")
    assert (entry["path"], entry["backend"]) == ("/slow", slow.address)


def test_an_answer_that_breaks_off_has_its_status_and_its_reason(http, backend, path) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    balancer = http(backend(play), "--access-log", str(path))

    line = balancer.connect()
    line.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    line.read_until(b"half")

    (entry,) = lines(path)
    assert (entry["status"], entry["reason"]) == (200, "response_truncated")


def test_a_connection_without_a_request_is_no_line(http, backend, path) -> None:
    balancer = http(backend(), "--access-log", str(path))

    balancer.connect().close()
    balancer.connect().get("/first")

    (entry,) = lines(path)
    assert entry["path"] == "/first"


def test_a_tunnel_is_told_at_its_end(http, backend, path) -> None:
    def play(line) -> None:
        line.read_request()
        line.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        echo(line)

    balancer = http(backend(play), "--access-log", str(path))

    with balancer.connect() as line:
        line.send(
            "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert line.read_head().status == 101
        line.send(b"z" * 10_000)
        assert line.read(10_000) == b"z" * 10_000
        time.sleep(0.2)
        assert path.read_text() == ""

    (entry,) = lines(path)
    assert (entry["status"], entry["path"], entry["pool"]) == (101, "/chat", "app")
    assert 10_000 < entry["bytes_in"] < 10_400
    assert 10_000 < entry["bytes_out"] < 10_400
    assert entry["duration_ms"] > 200


def test_a_tcp_connection_is_told_at_its_end(tcp, backend, path) -> None:
    one = backend(echo)
    balancer = tcp(one, "--access-log", str(path))

    with balancer.connect() as line:
        line.send(b"x" * 1000)
        line.read(1000)
        client = line.socket.getsockname()
        time.sleep(0.1)
        line.finish()
        assert line.read_to_end() == b""

    (entry,) = lines(path)
    assert entry.pop("time").endswith("Z")
    assert entry.pop("duration_ms") > 100
    assert entry == {
        "listener": "tcp",
        "client": client[0],
        "client_port": client[1],
        "protocol": "tcp",
        "reason": "ok",
        "bytes_in": 1000,
        "bytes_out": 1000,
        "pool": "app",
        "backend": one.address,
        "attempts": 1,
    }


def test_a_tcp_connection_that_finds_nobody_is_told(tcp, path) -> None:
    dead = f"127.0.0.1:{free_port()}"
    balancer = tcp(dead, "--access-log", str(path))

    with pytest.raises(ConnectionResetError):
        balancer.connect().read_to_end()

    (entry,) = lines(path)
    assert (entry["reason"], entry["backend"]) == ("connect_refused", dead)
    assert (entry["pool"], entry["attempts"], entry["bytes_in"]) == ("app", 1, 0)


def test_a_tcp_connection_beyond_the_limit_is_told(fairlead, backend, path) -> None:
    listen = loopback()
    balancer = fairlead(
        config=f'access_log = "{path}"\n'
        + site(listen, backend(echo), protocol="tcp", listener="limits = { connections = 1 }")
    )

    with balancer.connect(listen) as first:
        first.send(b"a")
        first.read(1)
        with pytest.raises(ConnectionResetError):
            balancer.connect(listen).read_to_end()
        (entry,) = lines(path)

    assert (entry["reason"], entry["backend"]) == ("listener_full", None)


def test_the_combined_format_is_what_its_readers_expect(fairlead, backend, path) -> None:
    listen = loopback()
    balancer = fairlead(
        config=f'access_log = {{ to = "{path}", format = "combined" }}\n'
        + site(listen, backend(lambda line: [line.read_request(), line.send(response(b"12345"))]))
    )

    balancer.connect(listen).get("/a?b", 'User-Agent: "q" \\', "Referer: http://x/")
    wait_for(lambda: path.read_text().count("\n") == 1)
    balancer.connect(listen).ask("GET /\x01 HTTP/1.1\r\n\r\n", to="GET")
    wait_for(lambda: path.read_text().count("\n") == 2)

    matches = [COMBINED.fullmatch(line) for line in path.read_text().splitlines()]
    assert all(matches), path.read_text()
    first, second = (match.groups() for match in matches if match)
    datetime.strptime(first[1], "%d/%b/%Y:%H:%M:%S %z")
    assert first[0] == "127.0.0.1"
    assert first[2:5] == ("GET /a?b HTTP/1.1", "200", "5")
    assert first[5:] == ("http://x/", "\\x22q\\x22 \\x5c")
    assert second[2:4] == ("GET /\\x01 HTTP/1.1", "400")
    assert second[5:] == ("-", "-")


def test_without_being_asked_for_there_is_none(http, backend) -> None:
    balancer = http(backend())

    balancer.connect().get()

    assert balancer.status()["access_log"] is None
    balancer.stop()
    assert balancer.process.stdout.read() == b""
