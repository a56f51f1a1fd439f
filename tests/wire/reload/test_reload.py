"""A new configuration: what is under way finishes under the old one, a bad one changes nothing."""

from __future__ import annotations

import signal
import socket
import threading
import time

import pytest

from harness.backend import echo, free_port, response, saying
from harness.balancer import loopback, run, wait_for
from harness.config import site, table


def holding(gate: threading.Event, body: bytes):
    """Answers once the gate opens."""

    def play(line) -> None:
        while line.read_request():
            gate.wait(10)
            line.send(response(body))

    return play


def test_new_requests_go_where_the_new_configuration_says(fairlead, backend) -> None:
    old, new = backend(saying("old")), backend(saying("new"))
    listen = loopback()
    balancer = fairlead(config=site(listen, old))
    line = balancer.connect(listen)
    assert line.get().body == b"old"

    status, _ = balancer.reload(site(listen, new))

    assert status == 200
    assert balancer.connect(listen).get().body == b"new"
    assert line.get().body == b"new", "the next request of a kept connection, too"


def test_a_request_under_way_finishes_under_the_old_configuration(fairlead, backend) -> None:
    gate = threading.Event()
    old, new = backend(holding(gate, b"old")), backend(saying("new"))
    listen = loopback()
    balancer = fairlead(config=site(listen, old))
    line = balancer.connect(listen)
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    wait_for(lambda: old.requests)

    balancer.reload(site(listen, new))
    assert balancer.connect(listen).get().body == b"new"
    gate.set()

    assert line.read_response().body == b"old"


def test_a_tcp_connection_outlives_its_listener(fairlead, backend) -> None:
    listen, other = loopback(), loopback()
    one = backend(echo)
    balancer = fairlead(config=site(listen, one, protocol="tcp"))
    line = balancer.connect(listen)
    line.send(b"a")
    assert line.read(1) == b"a"

    balancer.reload(site(other, one, protocol="tcp"))

    line.send(b"b")
    assert line.read(1) == b"b"
    with pytest.raises(ConnectionRefusedError):
        balancer.connect(listen)
    with balancer.connect(other) as new:
        new.send(b"c")
        assert new.read(1) == b"c"


def test_sighup_reloads(fairlead, backend) -> None:
    old, new = backend(saying("old")), backend(saying("new"))
    listen = loopback()
    balancer = fairlead(config=site(listen, old))
    balancer.config.write_text(site(listen, new))

    balancer.signal(signal.SIGHUP)

    wait_for(lambda: balancer.connect(listen).get().body == b"new")


@pytest.mark.parametrize(
    "bad",
    [
        "this is no TOML [",
        '[listeners.web]\nbind = "127.0.0.1:1"\npool = "nobody"\n',
        '[pools.app]\nbackends = []\npolcy = "random"\n',
    ],
)
def test_a_bad_configuration_changes_nothing_and_is_told(fairlead, backend, bad: str) -> None:
    listen = loopback()
    balancer = fairlead(config=site(listen, backend(saying("old"))))
    line = balancer.connect(listen)
    line.get()

    status, answer = balancer.reload(bad)

    assert status == 422
    assert "fairlead.toml" in str(answer)
    assert line.get().body == b"old"
    assert balancer.connect(listen).get().body == b"old"
    assert any(event["event"] == "reload_failed" for event in balancer.events())


def test_a_bad_configuration_at_sighup_is_told_on_standard_error(fairlead, backend) -> None:
    listen = loopback()
    balancer = fairlead(config=site(listen, backend(saying("old"))))
    balancer.config.write_text("nonsense = [")

    balancer.signal(signal.SIGHUP)

    balancer.wait_for_output("fairlead.toml")
    assert balancer.connect(listen).get().body == b"old"


def test_a_port_that_is_taken_changes_nothing(fairlead, backend) -> None:
    listen = loopback()
    old = backend(saying("old"))
    balancer = fairlead(config=site(listen, old))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        new = backend(saying("new"))
        status, answer = balancer.reload(
            site(listen, new, more=f'[listeners.second]\nbind = "127.0.0.1:{port}"\npool = "app"\n')
        )

    assert status == 409
    assert str(port) in str(answer)
    assert balancer.connect(listen).get().body == b"old"
    assert [each["name"] for each in balancer.status()["listeners"]] == ["web"]


def test_listeners_come_and_go(fairlead, backend) -> None:
    first, second = loopback(), loopback()
    one = backend(saying("one"))
    balancer = fairlead(config=site(first, one))

    more = f'[listeners.second]\nbind = "{second}"\npool = "app"\n'
    assert balancer.reload(site(first, one, more=more))[0] == 200
    assert balancer.connect(second).get().status == 200
    assert balancer.connect(first).get().status == 200

    assert balancer.reload(site(first, one))[0] == 200
    with pytest.raises(ConnectionRefusedError):
        balancer.connect(second)
    assert balancer.connect(first).get().status == 200


def test_nothing_is_refused_while_reloading(fairlead, backend) -> None:
    """A hundred reloads under traffic: no request fails, no connection is refused."""
    backends = [backend(saying(str(index))) for index in range(3)]
    listen = loopback()
    balancer = fairlead(config=site(listen, *backends))
    stop = threading.Event()
    failures: list[object] = []
    counts = [0, 0]

    def kept() -> None:
        line = balancer.connect(listen)
        while not stop.is_set():
            if (status := line.get().status) != 200:
                failures.append(status)
            counts[0] += 1

    def fresh() -> None:
        while not stop.is_set():
            with balancer.connect(listen) as line:
                if (status := line.get().status) != 200:
                    failures.append(status)
            counts[1] += 1

    def guarded(work) -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (kept, fresh)]
    for thread in threads:
        thread.start()
    for number in range(100):
        chosen = backends[: number % 3 + 1]
        assert balancer.reload(site(listen, *chosen))[0] == 200
    stop.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert min(counts) > 50


def test_reloads_leak_nothing(fairlead, backend) -> None:
    one = backend(saying("one"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, check='type = "tcp", interval = "200ms"'))
    for _ in range(20):
        balancer.reload(
            site(listen, one, pool='policy = "random"', check='type = "tcp", interval = "200ms"')
        )
        balancer.reload(site(listen, one, check='type = "tcp", interval = "200ms"'))
    files, memory = balancer.open_files(), balancer.resident_bytes()
    for _ in range(100):
        balancer.reload(
            site(listen, one, pool='policy = "random"', check='type = "tcp", interval = "200ms"')
        )
        balancer.reload(site(listen, one, check='type = "tcp", interval = "200ms"'))

    assert balancer.open_files() <= files + 4
    assert balancer.resident_bytes() - memory < 8_000_000


def test_health_and_wishes_survive_a_reload(fairlead, backend) -> None:
    one, two, dead = backend(saying("one")), backend(saying("two")), f"127.0.0.1:{free_port()}"
    listen = loopback()
    check = 'type = "tcp", interval = "100ms", fall = 2'
    balancer = fairlead(config=site(listen, one, two, dead, check=check))
    balancer.wait_for_health(dead, "down")
    balancer.api("PATCH", f"/v1/pools/app/backends/{one.address}", {"state": "draining"})

    three = backend(saying("three"))
    assert balancer.reload(site(listen, one, two, dead, three, check=check))[0] == 200

    rows = balancer.backends()
    assert rows[one.address]["state"] == "draining"
    assert rows[dead]["health"] == "down"
    assert rows[two.address]["health"] == "healthy"
    line = balancer.connect(listen)
    assert {line.get().body for _ in range(10)} == {b"two", b"three"}


def test_a_state_in_the_configuration_that_changed_is_the_operators_new_wish(
    fairlead, backend
) -> None:
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two))

    balancer.reload(site(listen, table(one, weight=3), two))

    line = balancer.connect(listen)
    # POSTs: what a busy machine makes late is not put to the other one, too.
    post = "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n"
    bodies = [line.ask(post).body for _ in range(40)]
    assert bodies.count(b"one") == 30


def test_counters_survive_a_reload(fairlead, backend) -> None:
    one = backend(saying("one"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one))
    line = balancer.connect(listen)
    for _ in range(10):
        line.get()

    balancer.reload(site(listen, one, pool='policy = "random"'))

    assert balancer.listener()["requests_total"] >= 10
    assert balancer.backends()[one.address]["requests"] >= 10


def test_the_command_reloads_the_running_instance(fairlead, backend) -> None:
    import os

    old, new = backend(saying("old")), backend(saying("new"))
    listen = loopback()
    balancer = fairlead(config=site(listen, old))
    balancer.config.write_text(site(listen, new))

    done = run("reload", env={**os.environ, "XDG_RUNTIME_DIR": str(balancer.runtime)})

    assert done.returncode == 0, done.stderr
    assert balancer.connect(listen).get().body == b"new"


@pytest.mark.alone
def test_a_thousand_listeners_load_check_and_reload_within_seconds(fairlead, backend) -> None:
    from harness.backend import free_ports

    backends = [backend(saying("many")) for _ in range(4)]
    words = ", ".join(f'"{one.address}"' for one in backends)
    ports = list(free_ports(1000))
    config = "".join(
        f'[listeners.l{number}]\nbind = "127.0.0.1:{port}"\npool = "p{number}"\n'
        f"[pools.p{number}]\nbackends = [{words}]\n"
        for number, port in enumerate(ports)
    )

    started = time.monotonic()
    balancer = fairlead(config=config)
    loaded = time.monotonic() - started
    checked = run("check", str(balancer.config), patience=20)
    started = time.monotonic()
    status, _ = balancer.reload(config.replace("p0]", 'p0]\npolicy = "random"\n'))
    reloaded = time.monotonic() - started

    assert checked.returncode == 0, checked.stderr
    assert status == 200
    assert loaded < 10
    assert reloaded < 10
    for port in (ports[0], ports[500], ports[999]):
        assert balancer.connect(f"127.0.0.1:{port}").get().body == b"many"
