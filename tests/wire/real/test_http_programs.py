"""Real HTTP servers behind it, real clients before it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness.backend import response
from harness.balancer import wait_for
from harness.programs import find

HERE = Path(__file__).parent
PROGRAMS = ["uvicorn", "gunicorn", "nginx"]
BODY = os.urandom(300_000)


def curl(*arguments: str) -> str:
    """curl's standard output."""
    program = find("curl", "curl")
    done = subprocess.run(
        [program, "-sS", "--max-time", "20", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_curl(url, program: str) -> None:
    base = url(program)
    path = "/whoami" if program == "nginx" else "/"

    assert curl(*[f"{base}{path}"] * 20).replace("\n", "") == program * 20
    assert curl("--http1.0", f"{base}{path}").strip() == program
    assert "HTTP/1.1 200" in curl("-I", f"{base}{path}")


def test_curl_waits_for_100_continue_and_gets_it(url, tmp_path) -> None:
    data = tmp_path / "data"
    data.write_bytes(BODY)
    done = subprocess.run(
        [find("curl", "curl"), "-sS", "-v", "-H", "Expect: 100-continue", "--expect100-timeout", "10",
         "--data-binary", f"@{data}", "--max-time", "20", f"{url('uvicorn')}/mirror"],
        capture_output=True, check=True,
    )  # fmt: skip

    assert done.stdout == BODY
    assert b"100 Continue" in done.stderr


@pytest.mark.parametrize("program", ["uvicorn", "gunicorn"])
def test_requests(url, program: str) -> None:
    import requests

    base = url(program)
    with requests.Session() as client:
        for _ in range(20):
            assert client.get(base).text == program
        assert client.post(f"{base}/mirror", data=BODY).content == BODY
        assert client.post(f"{base}/mirror", data=iter([b"a", b"b", b"c"])).content == b"abc"
        assert client.head(base).status_code == 200


@pytest.mark.parametrize("program", ["uvicorn", "gunicorn"])
def test_httpx(url, program: str) -> None:
    import httpx

    base = url(program)

    async def ask() -> None:
        async with httpx.AsyncClient() as client:
            answers = await asyncio.gather(*[client.get(base) for _ in range(50)])
            assert {answer.text for answer in answers} == {program}
            assert (await client.post(f"{base}/mirror", content=BODY)).content == BODY

    asyncio.run(ask())


@pytest.mark.parametrize("program", ["uvicorn", "gunicorn"])
def test_aiohttp(url, program: str) -> None:
    import aiohttp

    base = url(program)

    async def ask() -> None:
        async with aiohttp.ClientSession() as client:

            async def one() -> str:
                async with client.get(base) as answer:
                    return await answer.text()

            assert set(await asyncio.gather(*[one() for _ in range(50)])) == {program}
            async with client.post(f"{base}/mirror", data=BODY) as answer:
                assert await answer.read() == BODY

    asyncio.run(ask())


def test_gos_client(url) -> None:
    go = find("go", "golang-go")
    done = subprocess.run(
        [go, "run", str(HERE / "client.go"), url("uvicorn")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off", "GOTOOLCHAIN": "local"},
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "ok 100\n"


@pytest.mark.timeout(90)
def test_nodes_clients(url) -> None:
    node = find("node", "nodejs")
    done = subprocess.run(
        [node, str(HERE / "client.mjs"), url("uvicorn")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "ok 100\n"


def test_wrk_sees_no_error(url) -> None:
    wrk = find("wrk", "wrk")
    text = subprocess.run(
        [wrk, "-t1", "-c32", "-d2s", f"{url('nginx', 'nginx')}/whoami"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert "Socket errors" not in text
    assert "Non-2xx" not in text
    requests = re.search(r"(\d+) requests in", text)
    assert requests
    assert int(requests[1]) > 1000


def test_apache_bench_speaks_http_1_0(url) -> None:
    ab = find("ab", "apache2-utils")
    base = url("nginx")
    for flags in (["-k"], []):
        text = subprocess.run(
            [ab, "-q", "-n", "500", "-c", "10", *flags, f"{base}/whoami"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

        assert re.search(r"Failed requests:\s+0\b", text), text
        assert "Non-2xx" not in text


def test_the_application_sees_the_client(url) -> None:
    import httpx

    text = httpx.get(f"{url('uvicorn')}/headers").text

    assert "x-forwarded-for: 127.0.0.1" in text
    assert "x-forwarded-proto: http" in text
    assert re.search(r"x-request-id: \S+", text)


@pytest.mark.alone  # it measures
def test_events_of_a_stream_arrive_within_20_ms(url) -> None:
    """Server-sent events from uvicorn, every 100 ms. HAProxy's default adds 200."""
    from harness.line import dial

    line = dial(url("uvicorn").removeprefix("http://"))
    line.send("GET /events HTTP/1.1\r\nHost: app\r\nAccept: text/event-stream\r\n\r\n")
    head = line.read_head()
    assert head.value("Content-Type") == "text/event-stream"
    times = []
    for number in range(10):
        assert line.read_chunk() == b"data: %d\n\n" % number
        times.append(time.monotonic())

    gaps = [after - before for before, after in itertools.pairwise(times)]
    # Of two that were held back and joined one follows at once. The one in the middle says so, too,
    # and doesn't change if one is late by the machine's fault, which makes the next gap short.
    assert 0.08 < sorted(gaps)[len(gaps) // 2] < 0.12, gaps


def test_a_websocket_through_it(fairlead) -> None:
    import websockets.asyncio.client as wsclient
    import websockets.asyncio.server as wsserver

    from harness.balancer import loopback

    async def mirror(connection) -> None:
        async for message in connection:
            await connection.send(message)

    async def talk() -> None:
        async with wsserver.serve(mirror, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            listen = loopback()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(
                None, lambda: fairlead("http", listen, f"127.0.0.1:{port}", "--check", "none")
            )
            async with wsclient.connect(f"ws://{listen}/chat", max_size=None) as client:
                for message in ("hello", "ä" * 1000, os.urandom(1_000_000)):
                    await client.send(message)
                    assert await client.recv() == message
                await asyncio.wait_for(await client.ping(), 5)
            connections = [
                await wsclient.connect(f"ws://{listen}/{number}") for number in range(50)
            ]
            for number, client in enumerate(connections):
                await client.send(str(number))
            for number, client in enumerate(connections):
                assert await client.recv() == str(number)
                await client.close()

    asyncio.run(talk())


def test_an_application_that_is_restarted_costs_no_client_an_error(fairlead, started) -> None:
    """gunicorn takes HUP for a graceful restart of its workers; a client asks all the while."""
    import httpx

    from harness.balancer import loopback

    listen = loopback()
    fairlead("http", listen, started("gunicorn"), started("gunicorn"), "--check", "tcp")
    failures: list[object] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client() as client:
            while not stop.is_set():
                try:
                    if client.get(f"http://{listen}/").text != "gunicorn":
                        failures.append("other text")
                except httpx.HTTPError as failure:
                    failures.append(failure)

    thread = threading.Thread(target=ask)
    thread.start()
    me = os.getpid()
    for _ in range(2):
        time.sleep(0.7)
        for pid in _children(me, "gunicorn"):
            os.kill(pid, 1)
    time.sleep(1)
    stop.set()
    thread.join()

    assert failures == []


def _children(parent: int, word: str) -> list[int]:
    pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in pids if word in Path(f"/proc/{pid}/cmdline").read_text()]


# ------------------------------------------------------------------------------------- large files

SIZES = [
    pytest.param(1 << 26, id="64MiB"),
    pytest.param(1 << 30, id="1GiB", marks=[pytest.mark.long, pytest.mark.timeout(300)]),
]


def write(path: Path, size: int) -> str:
    """A file of random bytes (a MiB of them, again and again); its checksum."""
    piece = os.urandom(1 << 20)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


@pytest.mark.parametrize("size", SIZES)
def test_a_large_file_comes_down_whole(url, tmp_path, size: int) -> None:
    base = url("nginx")
    sent = write(next(tmp_path.glob("nginx*")) / "files" / "large", size)
    down = tmp_path / "down"

    curl("-o", str(down), "--max-time", "250", f"{base}/large")

    with down.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sent


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_large_file_goes_up_whole(http, backend, tmp_path, size: int, framing: str) -> None:
    def play(line) -> None:
        head = line.read_head()
        if head.has("Expect"):
            line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        digest = hashlib.sha256()
        if framing == "chunks":
            while chunk := line.read_chunk():
                digest.update(chunk)
            line.read_line()
        else:
            left = int(head.value("Content-Length") or 0)
            while left:
                data = line.read(min(left, 1 << 20))
                digest.update(data)
                left -= len(data)
        line.send(response(digest.hexdigest().encode()))

    sent = write(tmp_path / "large", size)
    balancer = http(backend(play))
    before = balancer.resident_bytes()
    more = ["-H", "Transfer-Encoding: chunked"] if framing == "chunks" else []

    got = curl(
        "-T", str(tmp_path / "large"), *more, "--max-time", "250", f"http://{balancer.listen}/up"
    )

    assert got == sent
    assert balancer.resident_bytes() - before < 16_000_000


def test_json_of_a_status_reads_back(fairlead, started) -> None:
    import httpx

    from harness.balancer import loopback

    listen = loopback()
    balancer = fairlead("http", listen, started("uvicorn"), "--check", "tcp")
    for _ in range(10):
        httpx.get(f"http://{listen}/")

    wait_for(lambda: balancer.listener()["requests_total"] == 10)
    status = json.loads(json.dumps(balancer.status()))
    row = status["pools"][0]["backends"][0]
    assert row["requests"] == 10
    assert row["latency_ms"]["p50"] > 0
    assert status["listeners"][0]["requests_total"] == 10
