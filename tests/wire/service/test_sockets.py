"""Sockets that a service manager opens, and keeps open whatever becomes of fairlead."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness.balancer import Balancer, dial, loopback, wait_for
from harness.config import site


def where(held: socket.socket) -> str:
    """Its address."""
    return "{}:{}".format(*held.getsockname())


def under(manager, fairlead, config: str, **more) -> Balancer:
    """fairlead, started by this manager."""
    return fairlead(
        config=config,
        inside=manager.inside,
        descriptors=manager.numbers,
        environment=manager.environment(),
        **more,
    )


@pytest.mark.parametrize("by", ["address", "name"])
def test_a_listener_takes_the_socket_that_was_passed_for_it(
    fairlead, backend, manager, held, by: str
) -> None:
    early = dial(where(held))
    early.send(b"GET /early HTTP/1.1\r\nHost: x\r\n\r\n")
    bind = where(held) if by == "address" else "fd:web"

    balancer = under(manager(web=held), fairlead, site(bind, backend()))

    assert early.read_response().status == 200, "it waited in the queue"
    assert balancer.listener()["bind"] == [where(held)]
    assert dial(where(held)).get().status == 200
    assert not any("in vain" in line for line in balancer.output)


def test_a_unix_socket_may_be_passed_too_and_its_file_stays(
    fairlead, backend, manager, short_path
) -> None:
    path = short_path / "web.sock"
    held = socket.socket(socket.AF_UNIX)
    held.bind(str(path))
    balancer = under(manager(web=held), fairlead, site(f"unix:{path}", backend()))

    assert dial(f"unix:{path}").get().status == 200
    assert balancer.stop() == 0
    assert path.exists()


def test_the_admin_address_may_be_passed_too(fairlead, backend, manager, held) -> None:
    listen = loopback()
    config = site(listen, backend(), more=f'[admin]\nlisten = "{where(held)}"')
    balancer = under(manager(admin=held), fairlead, config)
    connection = http.client.HTTPConnection(where(held), timeout=5)
    connection.request("GET", "/healthz")

    assert connection.getresponse().status == 200
    connection.close()
    assert not any("in vain" in line for line in balancer.output)


def test_what_nobody_listens_on_is_told(fairlead, backend, manager, held) -> None:
    balancer = under(manager(other=held), fairlead, site(loopback(), backend()))

    assert f"the socket `other` on {where(held)}" in balancer.wait_for_output("in vain")


def test_a_name_that_was_not_passed_is_an_error_of_the_start(fairlead, backend) -> None:
    balancer = fairlead(config=site("fd:web", backend()), ready=False)

    assert balancer.wait() == 2
    assert "listener `web` can't listen on fd:web: no socket `web` was passed" in balancer.output[0]


def test_variables_for_somebody_else_are_not_believed(fairlead, backend) -> None:
    """``LISTEN_PID`` is another process: a parent's that forgot to clear them."""
    variables = {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "a:b"}
    balancer = fairlead(config=site(loopback(), backend()), environment=variables)

    assert balancer.stop() == 0


def test_a_reload_gives_a_passed_socket_back_and_takes_it_again(
    fairlead, backend, manager, held
) -> None:
    one = backend()
    balancer = under(manager(web=held), fairlead, site(where(held), one))
    assert dial(where(held)).get().status == 200
    assert balancer.reload(site(loopback(), one))[0] == 200
    waiting = dial(where(held))
    waiting.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert waiting.is_silent(0.2), "connected, and nobody there"

    assert balancer.reload(site(where(held), one))[0] == 200
    assert waiting.read_response().status == 200


def test_killed_and_started_again_it_is_back_within_a_second_and_no_connect_is_refused(
    fairlead, backend, manager, held
) -> None:
    one = backend()
    parent = manager(web=held)
    config = site(where(held), one)
    first = under(parent, fairlead, config)
    assert dial(where(held)).get().status == 200
    refused: list[OSError] = []
    took: list[float] = []
    ended = threading.Event()

    def knock() -> None:
        while not ended.is_set():
            began = time.monotonic()
            try:
                with dial(where(held)) as line:
                    line.get()
            except ConnectionRefusedError as error:
                refused.append(error)
            except (OSError, AssertionError):
                continue  # cut by the kill: it had connected
            took.append(time.monotonic() - began)

    knocking = [threading.Thread(target=knock) for _ in range(4)]
    for thread in knocking:
        thread.start()
    wait_for(lambda: len(took) > 20)

    killed = time.monotonic()
    first.signal(signal.SIGKILL)
    first.wait()
    # A manager restarts at once. Whoever connects meanwhile waits in the queue.
    with dial(where(held)) as waiting:
        waiting.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        second = under(parent, fairlead, config, ready=False)
        assert waiting.read_response().status == 200
        back = time.monotonic() - killed
    wait_for(lambda: len(took) > 60)
    ended.set()
    for thread in knocking:
        thread.join(10)

    assert refused == []
    # 0.13 s on an idle machine; what it was ready to run and others ran is not its own.
    assert back - second.waited_seconds() < 1.0, back


def test_systemd_itself_starts_it_by_its_socket(backend, tmp_path) -> None:
    """``systemd-socket-activate`` is systemd's own parent for tests."""
    from harness.balancer import PROGRAM
    from harness.programs import find, wait_for_port

    program = find("systemd-socket-activate", "systemd")
    listen = loopback()
    config = tmp_path / "fairlead.toml"
    config.write_text(site(listen, backend()))
    process = subprocess.Popen(
        [program, "-l", listen, "--fdname=web", str(PROGRAM), "run", str(config)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "FAIRLEAD_RUNTIME_DIR": str(tmp_path)},
    )
    try:
        wait_for_port(int(listen.rpartition(":")[2]), process)
        assert dial(listen).get().status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
