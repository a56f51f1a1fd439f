"""The interpreter's lock is held: whoever probes the admin address hears how things are."""

from __future__ import annotations

import http.client
import json
import socket
import time
from pathlib import Path

import pytest

from harness.balancer import loopback, wait_for

TOKEN = "a-token-of-enough-characters"


def ask(
    address: str, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, dict]:
    """What is answered there; `Host` may be given."""
    name, _, port = address.rpartition(":")
    line = http.client.HTTPConnection(name, int(port), timeout=10)
    line.request(method, path, body, {key.replace("_", "-"): each for key, each in headers.items()})
    answer = line.getresponse()
    text = answer.read()
    line.close()
    return answer.status, json.loads(text) if text else {}


@pytest.fixture
def guarded(holding, tmp_path: Path):
    """One with an admin address that wants a token, held; and that address."""
    token, admin = tmp_path / "token", loopback()
    token.write_text(TOKEN)
    token.chmod(0o600)
    held = holding(
        f'[admin]\nlisten = "{admin}"\ntoken_file = "{token}"\nhosts = ["lb.example"]\n\n'
    )
    held.hold()
    return held, admin


def test_health_is_told_without_python(guarded) -> None:
    held, admin = guarded
    code, health = ask(admin, "GET", "/healthz")
    assert (code, health["status"]) == (200, "ok")
    assert health["python"].startswith("stuck since 2")
    assert ask(admin, "HEAD", "/healthz") == (200, {})
    assert held.is_stuck(), "the control socket is answered, too"

    held.release()
    wait_for(lambda: not held.is_stuck())
    assert ask(admin, "GET", "/healthz") == (200, {"status": "ok"})
    assert ask(admin, "GET", "/v1/status")[0] == 401


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", "Bearer wrong", ""])
def test_nothing_else_is_with_a_token_or_without(guarded, authorization: str) -> None:
    held, admin = guarded
    headers = {"Authorization": authorization} if authorization else {}
    address = held.ill.backend.address
    for method, path, body in [
        ("GET", "/v1/status", None),
        ("GET", "/metrics", None),
        ("GET", "/healthz?all", None),
        ("POST", "/healthz", "{}"),
        ("GET", "/", None),
        ("PATCH", f"/v1/pools/other/backends/{address}", '{"state": "draining"}'),
        ("PUT", "/v1/config", "workers = 1"),
    ]:
        code, refusal = ask(admin, method, path, body, **headers)
        assert (code, refusal["code"]) == (503, "python_stuck"), (method, path)
    assert held.balancer.backends("other")[address]["state"] == "enabled"


def test_a_page_in_a_browser_is_told_nothing(guarded) -> None:
    """A name that leads here by DNS rebinding is no name of ours."""
    _, admin = guarded
    port = admin.rpartition(":")[2]
    for host in ("rebound.example", f"rebound.example:{port}", "10.1.2.3", "[fe80::1]"):
        code, refusal = ask(admin, "GET", "/healthz", Host=host)
        assert (code, refusal["code"]) == (403, "forbidden_host"), host
    for host in ("localhost", f"LOCALHOST:{port}", "LB.example", "127.0.0.1", "127.9.9.9", "[::1]"):
        assert ask(admin, "GET", "/healthz", Host=host)[0] == 200, host


@pytest.mark.alone
def test_who_is_silent_there_keeps_no_operator_out(guarded) -> None:
    held, admin = guarded
    assert ask(admin, "GET", "/healthz")[0] == 200
    name, _, port = admin.rpartition(":")
    silent = [socket.create_connection((name, int(port))) for _ in range(20)]
    try:
        began = time.monotonic()
        assert held.is_stuck()
        assert time.monotonic() - began < 1
    finally:
        for each in silent:
            each.close()


def test_the_address_may_change_and_go(holding) -> None:
    first, second = loopback(), loopback()
    held = holding(f'[admin]\nlisten = "{first}"\n\n')
    assert ask(first, "GET", "/healthz") == (200, {"status": "ok"})
    held.balancer.reload(held.config.replace(first, second))
    with pytest.raises(ConnectionRefusedError):
        ask(first, "GET", "/healthz")
    held.hold()
    assert ask(second, "GET", "/healthz")[1]["python"].startswith("stuck")

    held.release()
    wait_for(lambda: not held.is_stuck())
    held.balancer.reload(held.config.partition("\n\n")[2])
    for address in (first, second):
        with pytest.raises(ConnectionRefusedError):
            ask(address, "GET", "/healthz")


def test_on_a_unix_socket_as_well(holding, short_path: Path) -> None:
    path = short_path / "admin"
    held = holding(f'[admin]\nlisten = "unix:{path}"\n\n')
    held.hold()
    line = http.client.HTTPConnection("whatever", timeout=10)
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.connect(str(path))
    line.request("GET", "/healthz")
    assert json.loads(line.getresponse().read())["python"].startswith("stuck")
    line.close()
