"""A fairlead process for tests."""

import urllib.request

import pytest

from fairlead.testing import FakeBackend, Program


@pytest.fixture
def backend():
    with FakeBackend("one") as running:
        yield running


def test_it_starts_answers_and_stops(backend):
    with Program("http", "127.0.0.1:0", backend.address) as program:
        with urllib.request.urlopen(f"http://{program.address}/") as answer:
            assert answer.read() == b"one\n"
        status, value = program.ask("GET", "/v1/status")
        assert (status, value["pid"]) == (200, program.pid)
    assert program.exit_code == 0
    assert program.stop() == 0


def test_a_reload_is_waited_for(backend):
    with Program("http", "127.0.0.1:0", backend.address) as program:
        program.reload()
        assert any("reloaded" in line for line in program.lines)


def test_one_that_ends_at_once_says_why():
    with pytest.raises(RuntimeError, match=r"fairlead: |error"):
        Program("http", "127.0.0.1:0", "not an address").start()
