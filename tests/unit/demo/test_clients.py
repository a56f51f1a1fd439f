"""The demo's clients count everything that isn't a whole, good answer."""

import asyncio
import json
import subprocess
import sys

import pytest

from fairlead.demo import clients as module
from fairlead.demo.clients import Clients
from fairlead.testing import FakeBackend


@pytest.fixture
def backend():
    with FakeBackend("ash") as running:
        yield running


def run(backend, seconds=0.5):
    """Run clients for a while; all reports together."""
    reports = []

    async def main():
        clients = Clients("127.0.0.1", backend.port, lambda text: reports.append(json.loads(text)))
        asyncio.get_running_loop().call_later(seconds, clients.end)
        await clients.run()

    asyncio.run(main())
    return {
        "latencies": [ms for report in reports for ms in report["latencies_ms"]],
        "errors": [text for report in reports for text in report["errors"]],
        "ash": sum(report["by_backend"].get("ash", 0) for report in reports),
    }


def test_good_answers_are_timed_and_attributed(backend):
    seen = run(backend)
    assert seen["errors"] == []
    assert 20 <= len(seen["latencies"]) == seen["ash"] <= 60
    assert len(seen["latencies"]) == backend.hits()


def test_kept_and_fresh_connections_are_both_used(backend):
    run(backend)
    by_connection = [request.connection for request in backend.requests()]
    uses = {number: by_connection.count(number) for number in by_connection}
    assert sum(count > 1 for count in uses.values()) == module.KEPT_CLIENTS
    assert sum(count == 1 for count in uses.values()) >= 5


@pytest.mark.parametrize(
    "failure", ["refuse", "reset", "close", "garbage", "half_head", "half_body"]
)
def test_whatever_is_no_answer_is_an_error(backend, failure):
    getattr(backend, failure)()
    seen = run(backend, 0.3)
    assert seen["errors"]
    assert seen["latencies"] == []


def test_other_statuses_and_wrong_bodies_are_errors(backend):
    backend.answer(503, "no backend")
    assert "HTTP/1.1 503 Service Unavailable: no backend" in run(backend, 0.2)["errors"]
    backend.answer(body="somebody else")
    assert "has the body" in run(backend, 0.2)["errors"][0]


def test_patience_ends(backend, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    backend.hang()
    assert "no answer within" in run(backend, 0.2)["errors"][0]


def test_a_connection_that_is_closed_by_agreement_is_no_error(backend):
    backend.answer(keep=False)
    seen = run(backend)
    assert seen["errors"] == []
    assert seen["latencies"]


def test_the_program_ends_with_its_input(backend):
    program = (sys.executable, "-m", "fairlead.demo.clients", "127.0.0.1", str(backend.port))
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        backend.wait(hits=5)
        process.stdin.close()
        reports = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    assert sum(len(report["latencies_ms"]) for report in reports) == backend.hits()
