"""The control plane beside the traffic: it answers, it survives, it costs nothing when idle."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness.backend import keeping, response, saying
from harness.balancer import PROGRAM, loopback, wait_for
from harness.config import site


def dial_control(balancer) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(balancer.control))
    return connection


def test_the_socket_is_there_at_ready_for_its_user_alone_and_gone_at_the_end(http, backend) -> None:
    balancer = http(backend())
    mode = balancer.control.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(balancer.control.parent.stat().st_mode) == 0o700

    assert balancer.status()["pid"] == balancer.process.pid
    assert balancer.stop() == 0

    assert not balancer.control.exists()


def test_what_a_dead_one_left_behind_is_removed(fairlead, backend) -> None:
    first = fairlead("http", loopback(), backend().address)
    first.signal(signal.SIGKILL)
    first.wait()
    assert first.control.exists()

    second = fairlead(
        "http", loopback(), backend().address, environment={"XDG_RUNTIME_DIR": str(first.runtime)}
    )

    assert not first.control.exists()
    assert (first.control.parent / f"{second.process.pid}.sock").exists()


def test_a_wish_takes_effect_at_once_and_holds_over_a_reload(fairlead, backend) -> None:
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two))

    status, row = balancer.api(
        "PATCH", f"/v1/pools/app/backends/{one.address}", {"state": "draining", "weight": 7}
    )
    assert (status, row["state"], row["weight"]) == (200, "draining", 7)
    bodies = {balancer.connect(listen).get().body for _ in range(10)}
    assert bodies == {b"two"}

    assert balancer.reload(site(listen, one, two, backend(saying("three"))))[0] == 200
    row = balancer.backends()[one.address]
    assert (row["state"], row["weight"]) == ("draining", 7)


def test_control_clients_that_send_rubbish_lose_only_their_own_connection(http, backend) -> None:
    balancer = http(backend())
    dice = random.Random(3)
    for _ in range(300):
        connection = dial_control(balancer)
        try:
            connection.sendall(dice.randbytes(dice.randrange(1, 3000)))
            if dice.random() < 0.5:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
        except OSError:
            pass
        connection.close()

    assert balancer.status()["workers"] >= 1
    assert balancer.connect().get().status == 200


def test_many_silent_control_clients_hold_up_neither_control_nor_traffic(http, backend) -> None:
    balancer = http(backend())
    silent = [dial_control(balancer) for _ in range(100)]

    assert balancer.status()["pid"] == balancer.process.pid
    assert balancer.connect().get().status == 200
    for connection in silent:
        connection.close()


@pytest.mark.alone  # how quickly is measured
def test_control_answers_quickly_under_heavy_traffic(http, backend) -> None:
    balancer = http(backend(keeping(lambda _: response(b"x"))))
    ended = threading.Event()

    def load() -> None:
        line = balancer.connect()
        while not ended.is_set():
            assert line.get().status == 200

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    took = []
    for _ in range(20):
        began = time.monotonic()
        balancer.status()
        took.append(time.monotonic() - began)
    ended.set()
    for thread in threads:
        thread.join()

    assert sorted(took)[10] < 0.25
    assert max(took) < 2


@pytest.mark.alone  # CPU time is measured
def test_idle_it_uses_no_processor_and_little_memory(fairlead, backend) -> None:
    balancer = fairlead("http", loopback(), backend().address, backend().address, fresh=True)
    time.sleep(1)
    before = balancer.cpu_seconds()
    time.sleep(3)

    assert balancer.cpu_seconds() - before <= 0.05
    assert balancer.resident_bytes() < 45 << 20


def follow(balancer, path: str = "/v1/events"):
    """Yields the events of a stream."""
    connection = dial_control(balancer)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def test_events_tell_each_change_of_health_with_its_reason(fairlead, backend) -> None:
    one, two = backend(), backend()
    balancer = fairlead(
        "http", loopback(), one.address, two.address, "--interval", "100ms", "--fall", "2"
    )
    balancer.wait_for_health(one.address, "healthy")
    events = follow(balancer, "/v1/events?after=0")
    one.refuse()

    seen = []
    for event in events:
        if event.get("backend") == one.address and event["event"] == "health":
            seen.append(event)
            if event["to"] == "down":
                break
    assert [event["to"] for event in seen] == ["healthy", "suspect", "down"]
    assert "refused" in seen[1]["why"] and "in a row" in seen[2]["why"]
    assert all(event["time"].endswith("Z") for event in seen)
    line = f"pool app backend {one.address} suspect -> down: {seen[2]['why']}"
    balancer.wait_for_output(line)


def test_a_standard_error_that_nobody_reads_blocks_nothing(short_path, backend) -> None:
    one = backend()
    process = subprocess.Popen(
        [str(PROGRAM), "http", loopback(), one.address, "--check", "none"],
        env={**os.environ, "XDG_RUNTIME_DIR": str(short_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        while "ready" not in process.stderr.readline():
            pass
        # Nobody reads from here on. Each wish is a line, and a pipe holds 64 KiB.
        path = f"/v1/pools/app/backends/{one.address}"
        with contextlib.closing(http.client.HTTPConnection("localhost")) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(5)
            connection.sock.connect(str(short_path / "fairlead" / f"{process.pid}.sock"))
            for number in range(1500):
                body = json.dumps({"state": ("draining", "enabled")[number % 2]})
                connection.request("PATCH", path, body)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200
        process.terminate()
        # The last lines wait for their reader no longer than a moment either.
        assert process.wait(5) == 0


def test_a_reload_that_is_wrong_changes_nothing_and_says_why(fairlead, backend) -> None:
    listen = loopback()
    balancer = fairlead(config=site(listen, backend(saying("old"))))

    status, answer = balancer.reload("[listeners.web]\nbind = 5\n")

    assert (status, answer["code"]) == (422, "config")
    assert "fairlead.toml:" in answer["detail"]
    assert balancer.connect(listen).get().body == b"old"
    assert any(event["event"] == "reload_failed" for event in balancer.events())
    balancer.wait_for_output("reload failed, the old configuration stays in force")


def test_a_stop_finishes_what_is_under_way_and_tells_healthz(http, backend) -> None:
    gate = threading.Event()

    def play(line) -> None:
        while line.read_request():
            gate.wait(10)
            line.send(response(b"late"))

    one = backend(play)
    balancer = http(one)
    line = balancer.connect()
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    one.wait_for_lines(1)
    balancer.signal(signal.SIGTERM)
    balancer.wait_for_output("finishing what is under way")

    assert balancer.api("GET", "/healthz") == (503, {"status": "stopping"})
    gate.set()
    assert line.read_response().body == b"late"
    assert balancer.wait() == 0


def test_int_twice_ends_at_once(http, backend) -> None:
    gate = threading.Event()

    def play(line) -> None:
        line.read_request()
        gate.wait(10)

    one = backend(play)
    balancer = http(one)
    line = balancer.connect()
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    one.wait_for_lines(1)
    balancer.signal(signal.SIGINT)
    balancer.wait_for_output("finishing what is under way")
    balancer.signal(signal.SIGINT)

    assert balancer.wait() == 130
    assert not balancer.control.exists()
    gate.set()


def test_a_signal_right_after_ready_is_a_graceful_stop(fairlead, backend) -> None:
    balancer = fairlead("http", loopback(), backend().address)
    assert balancer.stop() == 0


def test_the_admin_address_answers_its_own_names_only(fairlead, backend) -> None:
    listen, admin = loopback(), loopback()
    balancer = fairlead(config=f'[admin]\nlisten = "{admin}"\n' + site(listen, backend()))
    line = balancer.connect(admin)

    assert line.ask(f"GET /v1/status HTTP/1.1\r\nHost: {admin}\r\n\r\n").status == 200
    assert line.ask("GET /v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n").status == 403
    evil = "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n"
    assert line.ask(evil).status == 403


def test_command_checks_take_a_backend_out_and_back(fairlead, backend, tmp_path) -> None:
    one, two = backend(saying("one")), backend(saying("two"))
    listen, flag = loopback(), tmp_path / "sick"
    command = f"test $FAIRLEAD_PORT != {one.address.rpartition(':')[2]} || test ! -e {flag}"
    check = f"type = 'command', command = '{command}', interval = '100ms'"
    balancer = fairlead(config=site(listen, one, two, check=check))
    balancer.wait_for_health(one.address, "healthy")

    flag.touch()
    row = balancer.wait_for_health(one.address, "down")
    assert "exit status 1" in row["reason"]
    assert {balancer.connect(listen).get().body for _ in range(6)} == {b"two"}

    flag.unlink()
    balancer.wait_for_health(one.address, "healthy")
    wait_for(lambda: balancer.connect(listen).get().body == b"one", 5)
