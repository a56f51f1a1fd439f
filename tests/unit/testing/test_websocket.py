"""The backend's side of a WebSocket, spoken to by a client that isn't ours."""

import socket
import urllib.error
import urllib.request

import pytest

from fairlead.testing import FakeBackend, balancer_before
from fairlead.testing.websocket import accept, closing, frame

client = pytest.importorskip("websockets.sync.client", reason="misses websockets")
exceptions = pytest.importorskip("websockets.exceptions")


@pytest.fixture
def chat():
    with FakeBackend("chat") as backend:
        backend.websocket()
        yield backend


def test_the_key_of_the_rfc_is_accepted():
    assert accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("size", "head"), [(5, b"\x82\x05"), (300, b"\x82\x7e\x01\x2c"), (70_000, b"\x82\x7f")]
)
def test_lengths_are_written_in_their_three_forms(size, head):
    assert frame(2, b"x" * size).startswith(head)
    assert closing(1001) == b"\x88\x02\x03\xe9"


@pytest.mark.parametrize("through", ["directly", "through a balancer"])
def test_messages_come_back(chat, through):
    with balancer_before(chat) as balancer:
        address = chat.address if through == "directly" else balancer.address
        with client.connect(f"ws://{address}/room") as line:
            for message in ("hello", b"\x00\xff" * 40_000, ""):
                line.send(message)
                assert line.recv(5) == message
            assert line.ping().wait(5)
    assert chat.hits("/room") == 1


def test_it_ends_when_it_was_told_to(chat):
    chat.websocket(messages=1)
    with client.connect(f"ws://{chat.address}/") as line:
        line.send("one")
        assert line.recv(5) == "one"
        with pytest.raises(exceptions.ConnectionClosed) as caught:
            line.recv(5)
    assert caught.value.rcvd.code == 1001


def test_it_may_be_reset_in_the_middle(chat):
    chat.websocket(messages=1, then="reset")
    with client.connect(f"ws://{chat.address}/") as line:
        line.send("one")
        assert line.recv(5) == "one"
        with pytest.raises(exceptions.ConnectionClosedError):
            line.recv(5)


def test_who_asks_for_none_gets_426(chat):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{chat.address}/")
    assert caught.value.code == 426
    caught.value.close()


def test_a_client_that_goes_in_the_middle_of_a_frame_is_no_matter(chat):
    head = (
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", chat.port), timeout=5) as line:
        line.sendall(head.encode())
        assert line.recv(100).startswith(b"HTTP/1.1 101")
        line.sendall(b"\x82\xfe\x01")
    with client.connect(f"ws://{chat.address}/") as line:
        line.send("still there")
        assert line.recv(5) == "still there"
