"""What a service manager passes and is told, as far as it needs none."""

import os
import socket

import pytest

from fairlead.control.engine import start_engine
from fairlead.control.service import Manager, Passed, admin_socket, unused
from fairlead.errors import EngineError


def variables(**more):
    return {"NOTIFY_SOCKET": "/nowhere", "LISTEN_PID": str(os.getpid()), **more}


def test_what_is_meant_for_us_is_taken_out():
    environment = variables(LISTEN_FDS="2", LISTEN_FDNAMES="a:b", WATCHDOG_USEC="4000000", X="y")
    manager = Manager(environment)

    assert environment == {"X": "y"}
    assert manager.watchdog_seconds == 2.0


@pytest.mark.parametrize(
    "more",
    [
        {"WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": ""},
    ],
)
def test_a_watchdog_of_somebody_else_is_none_of_ours(more):
    assert Manager(variables(**{"WATCHDOG_USEC": "4000000", **more})).watchdog_seconds == 0


class Inheriting:
    """An engine that takes sockets."""

    def __init__(self):
        self.taken = []

    def inherit(self, name, number):
        if name == "bad":
            raise OSError("it is not a stream socket")
        self.taken.append((name, number))
        return f"127.0.0.1:{number}"


def test_sockets_go_to_the_engine_with_their_names():
    engine = Inheriting()
    passed = Manager(variables(LISTEN_FDS="2", LISTEN_FDNAMES="web")).hand_over(engine)

    assert engine.taken == [("web", 3), ("", 4)]
    assert passed == [Passed("web", 3, "127.0.0.1:3"), Passed("", 4, "127.0.0.1:4")]


@pytest.mark.parametrize("more", [{"LISTEN_PID": "1"}, {"LISTEN_FDS": "x"}, {"LISTEN_FDS": ""}])
def test_sockets_for_somebody_else_are_left_alone(more):
    engine = Inheriting()

    assert Manager(variables(**{"LISTEN_FDS": "2", **more})).hand_over(engine) == []
    assert engine.taken == []


def test_a_socket_that_can_not_be_used_is_named():
    manager = Manager(variables(LISTEN_FDS="1", LISTEN_FDNAMES="bad"))
    with pytest.raises(EngineError, match=r"the socket `bad` .*: it is not a stream socket"):
        manager.hand_over(Inheriting())


@pytest.mark.parametrize("abstract", [False, True])
def test_datagrams_say_how_it_goes(tmp_path, abstract):
    name = f"fl-{os.getpid()}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind("\0" + name if abstract else name)
        hearing.settimeout(5)
        manager = Manager({"NOTIFY_SOCKET": "@" + name if abstract else name})
        manager.ready("serving")
        manager.reloading()
        manager.stopping("SIGTERM")
        said = [hearing.recv(1000).decode() for _ in range(3)]

    assert said[0] == "READY=1\nSTATUS=serving"
    assert said[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[2].startswith("STOPPING=1\nSTATUS=SIGTERM")


def test_nobody_who_hears_costs_nothing(tmp_path):
    Manager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("serving")
    Manager({}).ready("serving")


def test_a_watchdog_that_can_not_be_told_is_no_reason_not_to_start(loaded):
    """An address that is none: variables that were left over from something else."""
    manager = Manager({"NOTIFY_SOCKET": "/run/" + "x" * 200, "WATCHDOG_USEC": "20000000"})

    native = start_engine(1)
    native.apply(loaded("127.0.0.1:9", listen="127.0.0.1:0").plan)
    try:
        manager.watch(native)
    finally:
        native.stop(0)


def test_an_admin_address_finds_its_socket():
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = "{}:{}".format(*held.getsockname())
        passed = [Passed("web", 0, "127.0.0.1:1"), Passed("admin", held.fileno(), address)]
        for listen in (address, address.replace("127.0.0.1", "localhost")):
            found = admin_socket(passed, listen)
            assert found is not None
            assert found.socket.getsockname() == held.getsockname()
            assert found.path is None
            found.socket.close()

        assert admin_socket(passed, "127.0.0.1:2") is None
        assert admin_socket([], address) is None


def test_what_nobody_uses_is_told():
    passed = [Passed("web", 3, "127.0.0.1:1"), Passed("old", 4, "[::]:80")]

    [line] = unused(passed, ["127.0.0.1:1"])
    assert line.startswith("the socket `old` on [::]:80 was passed to fairlead")
