"""A backend that is a process: frozen and killed for real."""

import http.client
import socket

import pytest

from fairlead.testing import BackendProcess


@pytest.fixture(scope="module")
def backend():
    with BackendProcess("one") as running:
        yield running


def ask(backend, timeout=5):
    connection = http.client.HTTPConnection(*backend.address.split(":"), timeout=timeout)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_behaves_as_told(backend):
    assert ask(backend) == 200
    backend.call("answer", status=503)
    assert ask(backend) == 503
    backend.call("answer")
    with pytest.raises(ValueError, match="there is no call"):
        backend.call("explode")


def test_frozen_it_accepts_and_says_nothing(backend):
    backend.freeze()
    backend.freeze()
    with pytest.raises(TimeoutError):
        ask(backend, 0.3)
    backend.thaw()
    assert ask(backend) == 200


def test_killed_it_refuses_and_comes_back_at_the_same_address(backend):
    address, pid = backend.address, backend.pid
    backend.kill()
    backend.kill()
    with pytest.raises(ConnectionRefusedError):
        ask(backend)
    with pytest.raises(RuntimeError, match="is not running"):
        backend.call("answer")
    backend.restart()
    assert backend.address == address
    assert backend.pid != pid
    assert ask(backend) == 200


def test_stopped_it_gives_its_address_back():
    backend = BackendProcess("two").start()
    backend.freeze()
    backend.stop()
    backend.stop()
    socket.create_server(("127.0.0.1", int(backend.address.split(":")[1]))).close()
