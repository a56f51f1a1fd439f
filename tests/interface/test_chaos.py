"""`fairlead chaos`: faults on purpose, what clients notice of them, and what is refused."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from typing import Self

import pytest

from harness.backend import echo, saying
from harness.balancer import PROGRAM, loopback, run
from harness.config import site

CHECK = 'type = "http", path = "/", interval = "200ms", timeout = "1s", rise = 2, fall = 2'
ALLOWED = "[chaos]\nenabled = true\n"


class Traffic:
    """Clients that ask again and again, some on kept connections, some on new ones."""

    def __init__(self, listen: str, methods: tuple[str, ...] = ("GET", "GET", "PUT")) -> None:
        self._methods = methods
        host, _, port = listen.rpartition(":")
        self._at = (host, int(port))
        self.statuses: Counter[int | str] = Counter()
        self.slowest = 0.0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(kept,)) for kept in (True, True, False)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, kept: bool) -> None:
        with contextlib.closing(http.client.HTTPConnection(*self._at, timeout=10)) as connection:
            methods = itertools.cycle(self._methods)
            while not self._stop.wait(0.01):
                began = time.monotonic()
                method = next(methods)
                try:
                    connection.request(method, "/", body="x" * 100 if method == "PUT" else None)
                    answer = connection.getresponse()
                    answer.read()
                    self.statuses[answer.status] += 1
                except OSError as error:
                    self.statuses[repr(error)] += 1
                    connection.close()
                self.slowest = max(self.slowest, time.monotonic() - began)
                if not kept:
                    connection.close()


@pytest.fixture
def lab(fairlead, backend):
    """A running fairlead over two backends that allows chaos, and a way to run commands."""
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, check=CHECK, more=ALLOWED))

    def command(*words: str):
        return run(*words, env={**os.environ, "XDG_RUNTIME_DIR": str(balancer.runtime)})

    command.balancer, command.listen, command.one, command.two = balancer, listen, one, two
    command.target = f"app/{one.address}"
    balancer.wait_all_healthy()
    return command


def _reported(lab, *words: str):
    """A run to its end; again, if it was refused as below.

    Also if nobody was there to suffer: who is in doubt, on a busy machine, has no clients.
    """
    for _ in range(10):
        done = lab("chaos", "--backend", lab.target, *words)
        unplayed = "--json" in words and done.stdout and not json.loads(done.stdout)["played"]["of"]
        if "no other backend" not in done.stderr and not unplayed:
            break
    return done


@pytest.mark.parametrize("fault", ["drop", "reset", "error", "freeze"])
def test_clients_of_two_backends_notice_nothing(lab, fault) -> None:
    with Traffic(lab.listen) as traffic:
        time.sleep(0.5)
        done = _reported(lab, "--fault", fault, "--for", "2s", "--json")

    told = json.loads(done.stdout)
    failed = traffic.statuses.pop(503, 0)
    assert set(traffic.statuses) == {200}, traffic.statuses
    # A second opinion about an error is not waited for for long, and this machine may be busy.
    assert failed <= (2 if fault == "error" else 0)
    assert done.returncode == (1 if told["clients"]["failed"] else 0), done.stderr
    assert told["clients"]["failed"] <= failed
    assert told["clients"]["served"] > 50
    assert told["played"]["suffered"] == told["played"]["of"] > 0
    assert (told["running"], told["settled"], told["seconds"]) == (False, True, 2.0)
    # A page of errors beside a healthy check page is noticed by what the others answer.
    assert told["noticed"]["health"] in ("suspect", "down"), told
    assert told["noticed"]["after_seconds"] < 2.1
    assert told["restored_after_seconds"] is not None


def test_answers_that_come_late_are_the_hedges_business(lab) -> None:
    words = ["--fault", "delay", "--delay", "1500ms", "--share", "50%", "--for", "2s", "--json"]
    # A PUT is not put to two backends side by side: it waits.
    with Traffic(lab.listen, ("GET",)) as traffic:
        time.sleep(0.5)
        done = _reported(lab, *words)

    told = json.loads(done.stdout)
    assert set(traffic.statuses) == {200}, traffic.statuses
    assert (told["clients"]["failed"], told["delay_ms"], told["share"]) == (0, 1500, 0.5)
    assert 0 < told["played"]["suffered"] <= told["played"]["of"]
    assert traffic.slowest < 1.5, "each was answered by somebody else"


def _played(lab, *words: str) -> tuple[subprocess.Popen[str], str]:
    """A run that a person looks on at, and its first line.

    On a busy machine the other backend may be suspect for a moment; then it is refused, rightly.
    """
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(lab.balancer.runtime), "NO_COLOR": "1"}
    for _ in range(10):
        process = subprocess.Popen(
            [PROGRAM, "chaos", "--backend", lab.target, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert process.stderr is not None
        first = process.stderr.readline()
        if "no other backend" not in first:
            break
        process.communicate(timeout=20)
    return process, first


def test_a_person_reads_a_report_and_sees_it_run(lab) -> None:
    with Traffic(lab.listen):
        process, first = _played(lab, "--fault", "freeze", "--for", "2s")
        status = lab("status")
        report = process.communicate(timeout=20)[0]

    assert f"playing freeze of 100% at {lab.target}" in first
    assert f"chaos: freeze of 100% at {lab.target}" in status.stdout
    assert lab.balancer.status()["chaos"] is None
    assert "not one error" in report
    assert "noticed   after" in report
    assert "restored  healthy" in report or "it was healthy at the end" in report
    events = lab("events", "--no-follow").stdout
    assert f"backend {lab.one.address} chaos: freeze of 100 % for 2 s begins" in events
    assert "chaos: freeze of 100 % ended" in events
    # Asked again, it says the same.
    assert lab("chaos").stdout == report


def test_it_ends_by_itself_when_nobody_is_left_to_end_it(lab) -> None:
    process, _ = _played(lab, "--fault", "freeze", "--for", "1s")
    process.kill()
    process.communicate()

    lab.balancer.wait_for_output("chaos: freeze of 100 % ended", 5)
    assert lab.balancer.api("GET", "/v1/chaos")[1]["chaos"]["running"] is False


def test_ctrl_c_ends_it_and_still_reports(lab) -> None:
    process, _ = _played(lab, "--fault", "reset", "--for", "60s", "--json")
    process.send_signal(signal.SIGINT)
    told = json.loads(process.communicate(timeout=20)[0])

    assert told["running"] is False
    assert told["seconds"] < 30


def test_a_post_on_the_way_is_lost_and_told(fairlead, backend) -> None:
    arrived: list[bytes] = []
    one = backend(lambda line: arrived.append(line.read_some()))
    two = backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, pool='policy = "first"', more=ALLOWED))
    body = {"pool": "app", "backend": one.address, "fault": "reset", "seconds": 30}
    assert balancer.api("POST", "/v1/chaos", body)[0] == 201
    with balancer.connect(listen) as line:
        line.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        assert line.read_response().status == 502

    told = balancer.api("DELETE", "/v1/chaos")[1]["chaos"]
    assert told["clients"]["errors"] == {"backend_reset": 1}
    assert told["running"] is False
    # Nothing of it had got there.
    assert b"".join(arrived) == b""
    done = run("chaos", env={**os.environ, "XDG_RUNTIME_DIR": str(balancer.runtime)})
    assert done.returncode == 1
    assert "1 failed: 1 backend_reset" in done.stdout


def test_tcp_connections_suffer_too(fairlead, backend) -> None:
    one, two = backend(echo), backend(echo)
    listen = loopback()
    config = site(
        listen,
        one,
        two,
        pool='policy = "first"',
        protocol="tcp",
        check='type = "tcp"',
        more=ALLOWED,
    )
    balancer = fairlead(config=config)
    balancer.wait_all_healthy()
    body = {"pool": "app", "backend": one.address, "fault": "drop", "seconds": 30}
    assert balancer.api("POST", "/v1/chaos", body)[0] == 201
    host, _, port = listen.rpartition(":")
    for _ in range(5):
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"
    # Each went to the other one.
    assert len(two.lines) >= 5

    refused = balancer.api("POST", "/v1/chaos", {**body, "fault": "error"})
    assert (refused[0], refused[1]["code"]) == (409, "chaos_running")
    balancer.api("DELETE", "/v1/chaos")
    balancer.wait_all_healthy()
    refused = balancer.api("POST", "/v1/chaos", {**body, "fault": "error"})
    assert (refused[0], refused[1]["code"]) == (409, "no_requests")


# ------------------------------------------------------------------------------------------ refusals


def test_the_configuration_has_to_allow_it_and_may_take_it_back(lab) -> None:
    words = ["chaos", "--backend", lab.target, "--fault", "freeze", "--for"]
    config = lab.balancer.config
    allowed = config.read_text()
    config.write_text(allowed.replace(ALLOWED, ""))
    assert lab("reload").returncode == 0

    done = lab(*words, "10s")
    assert done.returncode == 1
    assert "enabled = true" in done.stderr

    config.write_text(allowed)
    assert lab("reload").returncode == 0
    body = {"pool": "app", "backend": lab.one.address, "fault": "freeze", "seconds": 60}
    assert lab.balancer.api("POST", "/v1/chaos", body)[0] == 201
    config.write_text(allowed.replace(ALLOWED, ""))
    assert lab("reload").returncode == 0
    assert lab.balancer.api("GET", "/v1/chaos")[1]["chaos"]["running"] is False


def test_a_pool_is_not_left_without_a_healthy_backend(lab) -> None:
    lab("disable", f"app/{lab.two.address}")

    done = lab("chaos", "--backend", lab.target, "--fault", "drop", "--for", "10s")
    assert done.returncode == 1
    assert "no other backend of the pool `app` is healthy" in done.stderr


def test_who_is_the_last_one_left_suffers_no_more(lab) -> None:
    """The other one goes while it runs: then nothing is played until it is back."""
    body = {"pool": "app", "backend": lab.one.address, "fault": "reset", "seconds": 60}
    assert lab.balancer.api("POST", "/v1/chaos", body)[0] == 201
    lab("disable", f"app/{lab.two.address}")

    # What was played before has to be forgotten first: checks bring it back.
    lab.balancer.wait_all_healthy()
    assert {lab.balancer.connect(lab.listen).get().status for _ in range(10)} == {200}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"backend": "nobody:1"}, 404, "unknown_backend"),
        ({"pool": "nobody"}, 404, "unknown_backend"),
        ({"share": 1.5}, 400, "bad_value"),
        ({"shares": 1}, 400, "unknown_field"),
    ],
)
def test_what_makes_no_sense_is_refused(lab, change, status, code) -> None:
    body = {"pool": "app", "backend": lab.one.address, "fault": "drop", **change}
    found, told = lab.balancer.api("POST", "/v1/chaos", body)

    assert (found, told["code"]) == (status, code)
    assert lab.balancer.api("GET", "/v1/chaos") == (200, {"chaos": None})
