"""An address that opens, shuts and blocks."""

import socket

import pytest

from fairlead.testing.door import Door


@pytest.fixture
def door():
    made = Door("127.0.0.1:0")
    yield made
    made.close()


def connect(door, timeout=0.3):
    name, _, port = door.address.rpartition(":")
    return socket.create_connection((name.strip("[]"), int(port)), timeout=timeout)


def test_a_shut_door_refuses_and_keeps_its_number(door):
    address = door.address
    with pytest.raises(ConnectionRefusedError):
        connect(door)
    door.open()
    connect(door).close()
    door.shut()
    with pytest.raises(ConnectionRefusedError):
        connect(door)
    assert door.address == address


def test_nobody_else_gets_the_number_of_a_shut_door(door):
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", int(door.address.rpartition(":")[2])))


def test_a_blocked_door_answers_nothing_and_lets_its_own_fillers_pass_unseen(door):
    door.block()
    with pytest.raises(TimeoutError):
        connect(door)
    door.open()
    with connect(door, 5) as client:
        accepted = []
        while not accepted or accepted[-1] is not None:
            accepted.append(door.accept())
        peers = [each.getpeername() for each in accepted if each is not None]
        assert client.getsockname() in peers
        for each in accepted:
            if each is not None:
                each.close()
    assert len(door._our_own) <= 4


def test_ipv6_is_written_with_brackets():
    door = Door("[::1]:0")
    assert door.address.startswith("[::1]:")
    door.open()
    connect(door).close()
    door.close()


def test_a_unix_socket_cannot_swallow(tmp_path):
    door = Door(f"unix:{tmp_path}/s")
    with pytest.raises(TypeError, match="no handshake"):
        door.block()
    door.close()
