"""The token is shown nowhere: every output that there is, looked through for it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness.backend import free_port
from harness.balancer import PROGRAM, loopback, run, wait_for
from harness.config import site

TOKEN = "hunter2-is-not-a-good-token-0815"


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """All of an answer: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return repr((answer.status, answer.getheaders())).encode() + answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("where", ["token", "token_file"])
def test_no_output_has_the_token_in_it(fairlead, backend, tmp_path: Path, where: str) -> None:
    one, listen, port = backend(), loopback(), free_port()
    secret = tmp_path / "secret"
    secret.write_text(TOKEN + "\n")
    value = TOKEN if where == "token" else str(secret)
    admin = f'[admin]\nlisten = "127.0.0.1:{port}"\n{where} = "{value}"\n'
    config = site(listen, one, more=admin + '[access_log]\nto = "log"')
    balancer = fairlead(config=config, fresh=True)  # its words in /proc are looked at
    right = {"Authorization": f"Bearer {TOKEN}"}
    seen: list[bytes] = []

    described = json.loads(balancer.text("/openapi.json")[1])
    for path, methods in described["paths"].items():
        real = path.replace("{pool}", "app").replace("{address}", one.address)
        for method in methods:
            if method == "delete" and "backends" in path:
                continue
            follow = "?follow=0" if (method, path) == ("get", "/v1/events") else ""
            seen += [
                ask(port, method.upper(), real + follow, **headers)
                for headers in (right, {}, {"Authorization": f"Bearer {TOKEN[:-1]}x"})
            ]
    # What is wrong in a configuration is shown with its line.
    wrong = config.replace("[access_log]", "tokn = 3\n[access_log]").encode()
    toml = {**right, "Content-Type": "application/toml"}
    seen += [
        ask(port, method, path, text, **toml)
        for method, path in (("PUT", "/v1/config"), ("POST", "/v1/config/plan"))
        for text in (wrong, config.encode(), f'token = "{TOKEN}"'.encode())
    ]
    seen.append(ask(port, "GET", f"/v1/events?after={TOKEN}", **right).replace(TOKEN.encode(), b""))
    seen += [balancer.text(path)[1].encode() for path in ("/v1/status", "/v1/config", "/metrics")]
    balancer.config.write_text(wrong.decode())
    balancer.signal(signal.SIGHUP)
    balancer.wait_for_output("reload failed")
    inline = f'admin = {{ listen = "127.0.0.1:{port}", {where} = "{value}", tokn = 1 }}\n'
    other = balancer.folder / "inline.toml"
    other.write_text(inline + site(listen, one))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(balancer.runtime)}
    for words in (
        ("check", str(other)),
        ("check", str(balancer.config)),
        ("plan", str(other)),
        ("status",),
        ("status", "--json"),
        ("reload",),
    ):
        done = run(*words, env=environment)
        seen += [done.stdout.encode(), done.stderr.encode()]
    balancer.connect(listen).get("/", f"Authorization: Bearer {TOKEN}")
    wait_for((balancer.folder / "log").read_text)
    seen.append((balancer.folder / "log").read_bytes())
    seen.append(Path(f"/proc/{balancer.process.pid}/cmdline").read_bytes())
    assert balancer.stop() == 0
    seen.append("\n".join(balancer.output).encode())

    assert len(seen) > 60
    assert [text for text in seen if TOKEN.encode() in text] == []


def test_a_configuration_that_is_printed_has_no_token() -> None:
    code = (
        "import fairlead; "
        "from fairlead.config import Admin; "
        f"print(Admin(listen=':1', token='{TOKEN}'))"
    )
    python = PROGRAM.with_name("python")
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )

    assert TOKEN not in done.stdout
    assert "token='***'" in done.stdout
