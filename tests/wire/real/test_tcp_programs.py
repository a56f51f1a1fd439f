"""PostgreSQL, Redis and gRPC behind it, and very many connections at once."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.backend import Herd, saying
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.line import dial
from harness.programs import find


@pytest.fixture
def front(fairlead, started):
    """``fairlead tcp`` before this program; host and port."""

    def start(name: str) -> tuple[str, str]:
        listen = loopback()
        fairlead("tcp", listen, started(name), "--check", "tcp")
        host, port = listen.split(":")
        return host, port

    return start


def out(*command: str) -> str:
    """A command's standard output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_psql(front) -> None:
    psql = find("psql", "postgresql-client")
    host, port = front("postgresql")
    base = [psql, "-X", "-h", host, "-p", port, "-U", "postgres", "-At"]

    for _ in range(5):
        assert out(*base, "-c", "select 6 * 7") == "42\n"
    assert out(*base, "-c", "select length(repeat('x', 5000000))") == "5000000\n"
    rows = out(*base, "-c", "select generate_series(1, 200000)").split()
    assert len(rows) == 200_000


def test_a_query_can_be_cancelled(front) -> None:
    """Cancelling opens a second connection, which is balanced on its own."""
    psql = find("psql", "postgresql-client")
    host, port = front("postgresql")
    ask = [psql, "-X", "-h", host, "-p", port, "-U", "postgres", "-At", "-c"]
    process = subprocess.Popen(
        [*ask, "select pg_sleep(20)"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    active = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'"
    wait_for(lambda: out(*ask, active) == "1\n")
    process.send_signal(2)
    _, errors = process.communicate(timeout=10)

    assert "canceling statement" in errors


@pytest.mark.timeout(90)
def test_pgbench(front) -> None:
    pgbench = find("pgbench", "postgresql")
    host, port = front("postgresql")
    where = ["-h", host, "-p", port, "-U", "postgres", "postgres"]
    out(pgbench, "-i", "-q", "-s", "1", *where)

    steady = out(pgbench, "-c", "4", "-j", "2", "-T", "1", *where)
    fresh = out(pgbench, "-C", "-S", "-c", "2", "-t", "50", *where)

    for text in (steady, fresh):
        assert re.search(r"number of failed transactions: 0 ", text), text
        assert re.search(r"number of transactions actually processed: [1-9]", text)


def test_redis(front) -> None:
    redis = find("redis-cli", "redis-tools")
    host, port = front("redis")

    assert out(redis, "-h", host, "-p", port, "set", "a", "x" * 100_000) == "OK\n"
    assert out(redis, "-h", host, "-p", port, "get", "a") == "x" * 100_000 + "\n"
    lines = "".join(f"incr counter{number % 10}\n" for number in range(10_000))
    done = subprocess.run(
        [redis, "-h", host, "-p", port], input=lines, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == "1000"


def test_redis_publishes_to_a_connection_that_waits(front) -> None:
    find("redis-cli", "redis-tools")
    host, port = front("redis")
    waiting = dial(f"{host}:{port}")
    waiting.send("SUBSCRIBE news\r\n")
    waiting.read_until(b":1\r\n")

    with dial(f"{host}:{port}") as sender:
        sender.send("PUBLISH news hello\r\n")
        assert sender.read_until(b"\r\n") == b":1\r\n"

    assert b"hello" in waiting.read_until(b"hello\r\n")


def test_redis_benchmark(front) -> None:
    program = find("redis-benchmark", "redis-tools")
    host, port = front("redis")

    text = out(
        program, "-h", host, "-p", port, "-n", "5000", "-c", "50", "-q", "-t", "ping,set,get"
    )

    assert text.count("requests per second") >= 4


# ------------------------------------------------------------------------------- very many connections


@pytest.mark.timeout(120)
@pytest.mark.parametrize("most", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_thousands_of_idle_connections_are_held(
    fairlead, backend, protocol: str, most: int
) -> None:
    """Fewer where the file limit forbids it; the test says how many.

    On tcp each has a backend connection beside it, and this process holds the far ends of both.
    A sixteenth of the descriptors is never given to clients and their backends.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(most, (hard - hard // 16 - 500) // (1 if protocol == "http" else 2))
    herd = Herd()
    behind = backend(saying("hello")).address if protocol == "http" else herd.address
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen, behind, protocol=protocol, listener=f"limits = {{ connections = {count} }}"
        )
    )

    def used(line) -> bool:
        if protocol == "http":
            return line.get().status == 200
        line.send(b"x")
        return line.read(1) == b"x"

    lines = []
    for number in range(count):
        if number == count // 2:
            half = balancer.resident_bytes()
        # One source address has some 28,000 ports towards one listener.
        lines.append(dial(listen, f"127.0.1.{number % 4 + 1}"))
        assert used(lines[-1])
    each = (balancer.resident_bytes() - half) / (count - count // 2)
    print(f"{count} idle {protocol} connections held, {each / 1024:.2f} KiB each")
    cpu = balancer.cpu_seconds()
    time.sleep(2)

    assert balancer.cpu_seconds() - cpu < 0.3
    assert balancer.listener()["connections_active"] == count
    # The goal is a KiB for a client and two for a backend, which an idle http client has not.
    assert each < (1 << 10 if protocol == "http" else 2 << 10)
    for line in (lines[0], lines[count // 2], lines[-1]):
        assert used(line)
    herd.close()


@pytest.mark.alone
def test_a_slow_loris_does_not_keep_others_out(http, backend) -> None:
    balancer = http(backend(saying("hello")))
    stop = threading.Event()
    lines = [balancer.connect() for _ in range(100)]

    def drip() -> None:
        for line in lines:
            line.send("GET / HTTP/1.1\r\nHost: app\r\nX: ")
        while not stop.wait(0.2):
            for line in lines:
                line.send("x")

    thread = threading.Thread(target=drip)
    thread.start()
    times = []
    for _ in range(50):
        started = time.monotonic()
        with balancer.connect() as line:
            assert line.get().status == 200
        times.append(time.monotonic() - started)
    stop.set()
    thread.join()

    assert sorted(times)[45] < 0.1


def test_grpc_calls_of_all_four_kinds(fairlead) -> None:
    """gRPC's own client and server: HTTP/2 is just bytes here, and its connections are long."""
    import grpc

    def numbers(request: bytes, _: grpc.ServicerContext) -> Iterator[bytes]:
        return (b"%d" % number for number in range(int(request)))

    def abort(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "nobody here")
        return b""

    handlers = {
        "Mirror": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
        "Abort": grpc.unary_unary_rpc_method_handler(abort),
        "Numbers": grpc.unary_stream_rpc_method_handler(numbers),
        "Sum": grpc.stream_unary_rpc_method_handler(
            lambda requests, _: b"%d" % sum(map(int, requests))
        ),
        "Talk": grpc.stream_stream_rpc_method_handler(
            lambda requests, _: (b"re: " + request for request in requests)
        ),
    }
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", handlers),))
    listen = loopback()
    backend = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    balancer = fairlead("tcp", listen, backend, "--check", "tcp")
    try:
        with grpc.insecure_channel(listen) as channel:
            mirror = channel.unary_unary("/test.Test/Mirror")
            large = os.urandom(2 << 20)
            assert mirror(large, timeout=10) == large
            waiting = [mirror.future(b"%d" % number, timeout=10) for number in range(200)]
            assert [each.result() for each in waiting] == [b"%d" % each for each in range(200)]
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary("/test.Test/Abort")(b"", timeout=10)
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
            counted = channel.unary_stream("/test.Test/Numbers")(b"1000", timeout=10)
            assert [int(each) for each in counted] == list(range(1000))
            summed = channel.stream_unary("/test.Test/Sum")
            assert summed((b"%d" % each for each in range(100)), timeout=10) == b"4950"
            talk = channel.stream_stream("/test.Test/Talk")(iter([b"a", b"b"]), timeout=10)
            assert list(talk) == [b"re: a", b"re: b"]
        # One connection did all of it.
        assert balancer.listener()["connections_total"] == 1
    finally:
        server.stop(None).wait(5)
