"""Starting, refusing to start, stopping; what must not stop it."""

from __future__ import annotations

import signal
import socket
import statistics
import threading
import time
from pathlib import Path

import pytest

from harness.backend import echo, free_port, response, saying
from harness.balancer import loopback, run, wait_for
from harness.config import site
from harness.line import refuses


def test_ready_comes_once_all_listeners_accept(fairlead, backend) -> None:
    listens = [loopback() for _ in range(5)]
    one = backend(saying("hello"))
    more = "".join(
        f'[listeners.l{number}]\nbind = "{each}"\npool = "app"\n'
        for number, each in enumerate(listens[1:])
    )
    balancer = fairlead(config=site(listens[0], one, more=more))

    assert sum(line == "fairlead: ready" for line in balancer.output) == 1
    for listen in listens:
        assert balancer.connect(listen).get().status == 200


@pytest.mark.alone
def test_ready_comes_soon(fairlead, backend, tmp_path) -> None:
    """Within 300 ms, not counting the time that this machine gave its processors to others.

    With compiled modules, as every installation has them: without, the interpreter compiles some
    sixty of them anew at each start.
    """
    one = backend()
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    fairlead("http", loopback(), one.address, environment=compiled, fresh=True)
    walls, used = [], []
    for _ in range(5):
        started = time.monotonic()
        balancer = fairlead("http", loopback(), one.address, environment=compiled, fresh=True)
        walls.append(time.monotonic() - started - balancer.waited_seconds())
        used.append(balancer.cpu_seconds())

    # Measured on a machine that does little else: 110 ms, of which 70 to 80 on a processor.
    assert min(walls) < 0.3, f"best {min(walls):.2f} s, median {statistics.median(walls):.2f} s"
    assert min(used) < 0.2, f"best {min(used):.2f} s of CPU"


def test_memory_is_taken_by_the_page(http, backend) -> None:
    """Nothing asks the kernel for huge pages: a connection's first byte would cost 2 MiB.

    And a small instance has 32 MiB at most, its two workers and CPython among them.
    """
    balancer = http(backend(saying("hello")), "--workers", "2", fresh=True)
    assert balancer.connect().get().status == 200

    maps = Path(f"/proc/{balancer.process.pid}/smaps").read_text().splitlines()
    asked = [line for line in maps if line.startswith("VmFlags:") and " hg" in line]

    assert asked == []
    assert balancer.resident_bytes() <= 32 << 20


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_a_port_in_use_is_exit_2(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        done = run(protocol, f"127.0.0.1:{port}", "127.0.0.1:9")

    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_in_use_closes_nothing_of_the_other(http, backend) -> None:
    balancer = http(backend(saying("first")))
    line = balancer.connect()

    done = run("http", balancer.listen, "127.0.0.1:9")

    assert done.returncode == 2
    assert line.get().body == b"first"
    assert balancer.connect().get().body == b"first"


def test_one_address_for_two_listeners_is_exit_2(tmp_path) -> None:
    listen = loopback()
    path = tmp_path / "fairlead.toml"
    path.write_text(
        site(listen, "127.0.0.1:9", more=f'[listeners.again]\nbind = "{listen}"\npool = "app"\n')
    )

    done = run("check", str(path))

    assert done.returncode == 2
    assert listen in done.stderr
    assert "fairlead.toml:" in done.stderr


def test_all_addresses_and_one_of_them_is_a_clash(tmp_path) -> None:
    port = free_port()
    path = tmp_path / "fairlead.toml"
    more = f'[listeners.again]\nbind = "127.0.0.1:{port}"\npool = "app"\n'
    path.write_text(site(f":{port}", "127.0.0.1:9", more=more))

    done = run("run", str(path))

    assert done.returncode == 2
    assert str(port) in done.stderr


def test_a_restart_binds_at_once(fairlead, backend) -> None:
    """Connections in TIME_WAIT don't hold the port."""
    listen = loopback()
    one = backend(saying("hello"))
    for _ in range(3):
        balancer = fairlead("http", listen, one.address, "--check", "none")
        assert balancer.connect(listen).get("/", "Connection: close").status == 200
        assert balancer.stop() == 0


def test_a_stale_unix_socket_is_replaced_and_a_living_one_is_not(
    fairlead, backend, short_path
) -> None:
    listen = f"unix:{short_path}/front"
    one = backend(saying("hello"))
    first = fairlead("http", listen, one.address, "--check", "none")
    first.process.kill()
    first.wait()
    second = fairlead("http", listen, one.address, "--check", "none")
    assert second.connect(listen).get().status == 200

    done = run("http", listen, one.address)

    assert done.returncode == 2
    assert second.connect(listen).get().status == 200


def test_a_file_that_is_no_socket_is_left_alone(short_path) -> None:
    (short_path / "front").write_text("precious")

    done = run("http", f"unix:{short_path}/front", "127.0.0.1:9")

    assert done.returncode == 2
    assert (short_path / "front").read_text() == "precious"


# ------------------------------------------------------------------------------------------ stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_exit_0(http, backend, number: signal.Signals) -> None:
    balancer = http(backend())
    with balancer.connect() as line:
        line.get()
    balancer.signal(number)

    assert balancer.wait() == 0


def test_a_request_under_way_is_finished(http, backend) -> None:
    gate = threading.Event()

    def hold(line) -> None:
        line.read_request()
        gate.wait(10)
        line.send(response(b"finished"))

    one = backend(hold)
    balancer = http(one)
    line = balancer.connect()
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    wait_for(lambda: one.requests)
    balancer.signal(signal.SIGTERM)
    wait_for(lambda: refuses(balancer.listen))
    gate.set()

    answer = line.read_response()
    assert answer.body == b"finished"
    assert answer.value("Connection") == "close"
    assert balancer.wait() == 0


def test_what_still_comes_on_kept_connections_is_answered_with_close(http, backend) -> None:
    """A request that crosses the stop on its way isn't lost (nginx loses such POSTs)."""
    balancer = http(backend())
    lines = [balancer.connect() for _ in range(5)]
    for line in lines:
        line.get()

    balancer.signal(signal.SIGTERM)
    wait_for(lambda: refuses(balancer.listen))
    for line in lines:
        answer = line.ask("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 1\r\n\r\nx")
        assert answer.status == 200
        assert answer.value("Connection") == "close"
        assert line.is_closed()
    assert balancer.wait() == 0


def test_a_tcp_connection_is_finished_within_the_shutdown_timeout(fairlead, backend) -> None:
    listen = loopback()
    config = 'shutdown_timeout = "3s"\n' + site(listen, backend(echo), protocol="tcp")
    balancer = fairlead(config=config)
    quick, slow = balancer.connect(listen), balancer.connect(listen)
    for line in (quick, slow):
        line.send(b"x")
        line.read(1)

    balancer.signal(signal.SIGTERM)
    wait_for(lambda: refuses(listen))
    quick.send(b"still here")
    assert quick.read(10) == b"still here"
    quick.close()
    started = time.monotonic()

    assert balancer.wait() == 0
    assert time.monotonic() - started < 8
    assert slow.is_closed()


def test_a_second_interrupt_does_not_wait(http, backend) -> None:
    one = backend(lambda line: (line.read_request(), line.read_some()))
    balancer = http(one)
    line = balancer.connect()
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    wait_for(lambda: one.requests)
    balancer.signal(signal.SIGINT)
    wait_for(lambda: refuses(balancer.listen))
    balancer.signal(signal.SIGINT)

    assert balancer.wait(10) == 130


# ----------------------------------------------------------------------------- what must not stop it


def test_the_limit_of_connections_is_derived_from_the_file_limit(fairlead, backend) -> None:
    """A burst gets in as far as it fits, and whoever is in gets a backend's connection."""
    one = backend(saying("hello"))
    balancer = fairlead("http", loopback(), one.address, "--check", "none", files_max=128)
    places = 28  # a client and a backend's connection, of the 56 that the reserve leaves
    lines, statuses = [], []
    for _ in range(150):
        lines.append(balancer.connect())
        lines[-1].send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    for line in lines:
        try:
            statuses.append(line.read_response().status)
        except (ConnectionError, AssertionError):
            statuses.append(0)

    assert statuses.count(200) >= places
    assert "out_of_resources" not in balancer.listener()["reasons"]
    assert not any(event["event"] == "panic" for event in balancer.events())


def test_a_stranger_who_sends_rubbish_loses_only_his_own_connection(http, backend) -> None:
    import random

    balancer = http(backend())
    good = balancer.connect()
    dice = random.Random(7)
    for _ in range(200):
        with balancer.connect() as line:
            line.send(dice.randbytes(dice.randrange(1, 2000)))
            line.finish()
            try:
                line.read_to_end()
            except ConnectionResetError:
                continue

    assert good.get().status == 200
    assert not any(event["event"] == "panic" for event in balancer.events())
