"""tcp: bytes as they are, ends as they are."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time

import pytest

from harness.backend import Backend, echo, free_port
from harness.balancer import wait_for
from harness.line import Line


def test_bytes_pass_unchanged_both_ways(tcp, backend) -> None:
    line = tcp(backend(echo)).connect()

    for size in (1, 10, 1_000, 65_536, 1_000_000):
        data = os.urandom(size)
        sender = threading.Thread(target=line.send, args=(data,))
        sender.start()
        assert line.read(size) == data
        sender.join()


def test_the_backend_may_speak_first(tcp, backend) -> None:
    line = tcp(backend(lambda line: line.send(b"220 hello\r\n"))).connect()

    assert line.read(11) == b"220 hello\r\n"


@pytest.mark.alone  # Nagle's 40 ms are measured
def test_a_small_piece_is_not_held_back(tcp, backend) -> None:
    line = tcp(backend(echo)).connect()
    line.send(b"x")
    line.read(1)

    started = time.monotonic()
    for _ in range(50):
        line.send(b"ping")
        assert line.read(4) == b"ping"

    assert time.monotonic() - started < 1.5, "40 ms each would be Nagle's"


def test_the_client_may_finish_first(tcp, backend) -> None:
    """Half-close: the answer comes after the end of the question."""

    def play(line: Line) -> None:
        line.send(b"got %d" % len(line.read_to_end()))

    line = tcp(backend(play)).connect()
    line.send(b"x" * 100_000)
    line.finish()

    assert line.read_to_end() == b"got 100000"


def test_the_backend_may_finish_first(tcp, backend) -> None:
    got: list[bytes] = []

    def play(line: Line) -> None:
        line.send(b"that is all from me")
        line.finish()
        got.append(line.read_to_end())

    line = tcp(backend(play)).connect()
    assert line.read_to_end() == b"that is all from me"
    line.send(b"but not from me")
    line.finish()

    wait_for(lambda: got == [b"but not from me"])


def test_both_may_finish_at_once(tcp, backend) -> None:
    def play(line: Line) -> None:
        line.send(b"b")
        line.finish()
        line.read_to_end()

    balancer = tcp(backend(play))
    line = balancer.connect()
    line.send(b"a")
    line.finish()

    assert line.read_to_end() == b"b"
    wait_for(lambda: balancer.listener()["connections_active"] == 0)


def test_a_reset_of_the_backend_is_a_reset_for_the_client(tcp, backend) -> None:
    def play(line: Line) -> None:
        line.send(b"x")
        line.read(1)
        line.reset()

    line = tcp(backend(play)).connect()
    line.read(1)
    line.send(b"y")

    with pytest.raises(ConnectionResetError):
        line.read_to_end()


def test_a_reset_of_the_client_is_a_reset_for_the_backend(tcp, backend) -> None:
    ends: list[object] = []

    def play(line: Line) -> None:
        try:
            line.send(b"x")
            ends.append(line.read_to_end())
        except ConnectionResetError as reset:
            ends.append(reset)

    line = tcp(backend(play)).connect()
    line.read(1)
    line.reset()

    wait_for(lambda: ends)
    assert isinstance(ends[0], ConnectionResetError)


def test_a_reset_after_a_half_close_is_still_a_reset(tcp, backend) -> None:
    ends: list[object] = []

    def play(line: Line) -> None:
        line.send(b"x")
        line.finish()
        try:
            ends.append(line.read_to_end())
        except ConnectionResetError as reset:
            ends.append(reset)

    line = tcp(backend(play)).connect()
    assert line.read_to_end() == b"x"
    line.send(b"y")
    time.sleep(0.1)
    line.reset()

    wait_for(lambda: ends)
    assert isinstance(ends[0], ConnectionResetError)


def test_a_reset_after_a_large_transfer_is_still_a_reset(tcp, backend) -> None:
    """What is moved by the kernel alone tells of its end by the kernel alone."""
    size = 4_000_000

    def play(line: Line) -> None:
        for _ in range(8):
            line.send(b"x" * size)
            line.read(1)
        line.reset()

    balancer = tcp(backend(play))
    line = balancer.connect()
    for _ in range(8):
        line.read(size)
        line.send(b"y")

    with pytest.raises(ConnectionResetError):
        line.read_to_end()


@pytest.mark.parametrize("direction", ["to the client", "to the backend"])
def test_a_slow_reader_holds_back_the_writer(tcp, backend, direction: str) -> None:
    """Memory stays bounded whatever the speeds, and nothing is lost."""
    size = 100_000_000
    piece = os.urandom(100_000)
    sent = [0]
    gate = threading.Event()
    digests: list[bytes] = []

    def write(line: Line) -> None:
        line.socket.settimeout(25)
        for _ in range(size // len(piece)):
            line.socket.sendall(piece)
            sent[0] += len(piece)
        line.finish()

    def read(line: Line) -> None:
        gate.wait(10)
        digest = hashlib.sha256()
        while data := line.read_some(10):
            digest.update(data)
        digests.append(digest.digest())

    def play(line: Line) -> None:
        if direction == "to the client":
            write(line)
            line.read_some()
        else:
            read(line)

    balancer = tcp(backend(play))
    before = balancer.resident_bytes()
    line = balancer.connect()
    mine = threading.Thread(target=read if direction == "to the client" else write, args=(line,))
    mine.start()
    time.sleep(1)
    held, grown = sent[0], balancer.resident_bytes() - before
    gate.set()
    mine.join(20)
    wait_for(lambda: digests, 10)

    assert held < 40_000_000, "taken in, though nobody read"
    assert grown < 16_000_000
    assert digests == [hashlib.sha256(piece * (size // len(piece))).digest()]


def test_many_connections_at_once(tcp, backend) -> None:
    balancer = tcp(backend(echo), backend(echo))
    lines = [balancer.connect() for _ in range(200)]

    for number, line in enumerate(lines):
        line.send(b"%08d" % number)
    for number, line in enumerate(lines):
        assert line.read(8) == b"%08d" % number

    assert balancer.listener()["connections_active"] == 200
    for line in lines:
        line.close()
    wait_for(lambda: balancer.listener()["connections_active"] == 0)
    wait_for(lambda: all(row["active"] == 0 for row in balancer.backends().values()))


def test_connections_go_round(tcp, backend) -> None:
    backends = [backend(lambda line, name=name: line.send(name)) for name in (b"a", b"b", b"c")]
    balancer = tcp(*backends)

    answers = [balancer.connect().read_to_end() for _ in range(30)]

    assert {name: answers.count(name) for name in (b"a", b"b", b"c")} == {
        b"a": 10,
        b"b": 10,
        b"c": 10,
    }


def test_a_connection_that_neither_side_uses_ends(fairlead, backend) -> None:
    from harness.balancer import loopback
    from harness.config import site

    listen = loopback()
    config = site(listen, backend(echo), protocol="tcp", listener='timeouts = { idle = "2s" }')
    balancer = fairlead(config=config)
    line = balancer.connect(listen)

    for _ in range(3):
        line.send(b"x")
        assert line.read(1) == b"x"
        assert line.is_silent(0.8), "it was used a moment ago"
    assert line.is_closed(10)
    balancer.wait_for_reason("client_idle")


def test_traffic_one_way_keeps_a_connection(fairlead, backend) -> None:
    from harness.balancer import loopback
    from harness.config import site

    def play(line: Line) -> None:
        for _ in range(10):
            line.send(b"tick")
            time.sleep(0.3)

    listen = loopback()
    config = site(listen, backend(play), protocol="tcp", listener='timeouts = { idle = "2s" }')
    line = fairlead(config=config).connect(listen)

    assert line.read_to_end() == b"tick" * 10


# ------------------------------------------------------------------------------------- addresses


def test_both_sides_may_be_unix_sockets(fairlead, short_path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(short_path / "back"))
    listener.listen(16)
    one = Backend(echo, listener)
    listen = f"unix:{short_path}/front"

    line = fairlead("tcp", listen, one.address, "--check", "none").connect(listen)
    line.send(b"hello")
    line.finish()

    assert line.read_to_end() == b"hello"
    one.close()


def test_both_sides_may_be_ipv6(fairlead, backend) -> None:
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    one = backend(echo, listener)
    listen = f"[::1]:{free_port()}"

    line = fairlead("tcp", listen, one.address, "--check", "none").connect(listen)
    line.send(b"hello")
    line.finish()

    assert line.read_to_end() == b"hello"


@pytest.mark.parametrize("form", ["{port}", ":{port}"])
def test_a_port_alone_listens_on_all_addresses_of_both_families(
    fairlead, backend, form: str
) -> None:
    port = free_port()
    balancer = fairlead("tcp", form.format(port=port), backend(echo).address, "--check", "none")

    for address in (f"127.0.0.1:{port}", f"[::1]:{port}"):
        with balancer.connect(address) as line:
            line.send(b"hello")
            line.finish()
            assert line.read_to_end() == b"hello"


def test_a_backend_without_a_port_takes_the_listeners(fairlead) -> None:
    port = free_port()
    listener = socket.create_server(("127.0.0.2", port))
    one = Backend(echo, listener)

    balancer = fairlead("tcp", f"127.0.0.1:{port}", "127.0.0.2", "--check", "none")
    line = balancer.connect(f"127.0.0.1:{port}")
    line.send(b"hello")
    line.finish()

    assert line.read_to_end() == b"hello"
    one.close()


def test_a_name_is_resolved(tcp, backend) -> None:
    one = backend(echo)

    line = tcp(one.address.replace("127.0.0.1", "localhost")).connect()
    line.send(b"hello")
    line.finish()

    assert line.read_to_end() == b"hello"
