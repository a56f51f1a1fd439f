"""What balance 3.54 does badly, and what the same command line does here (FEATURES.md, 2.4)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
import time
from collections import Counter

import pytest

from harness.backend import echo, free_port
from harness.balancer import wait_for
from harness.inlab import named
from harness.line import BrokenOff, Line


def test_01_clients_are_spread_by_their_addresses(place, named_backend) -> None:
    """There: 40 addresses, all on one of four channels."""
    instance = place.start(*[named_backend(name) for name in "abcd"], "%")

    took = {last: instance.who(f"127.0.0.{last}") for last in range(1, 41)}

    assert Counter(took.values()) == dict.fromkeys("abcd", 10)
    assert {last: instance.who(f"127.0.0.{last}") for last in range(1, 41)} == took


def test_02_the_next_group_is_looked_at_as_closely_as_the_first(place, named_backend) -> None:
    """There: a disabled channel got 3 of 6."""
    refused = f"127.0.0.1:{free_port()}"
    instance = place.start(refused, "!", named_backend("a"), named_backend("b"))
    instance.ask("group 1; disable 0")

    assert instance.names(6) == ["b"] * 6

    instance.ask("group 1; enable 0; maxc 0 1")
    held = [instance.connect() for _ in range(4)]
    assert Counter(line.read_line() for line in held)[b"a"] == 1


@pytest.mark.parametrize("options", [[], ["-a"]], ids=["plain", "autodisable"])
def test_03_a_black_hole_costs_no_client_the_timeout(
    place, named_backend, black_hole, options
) -> None:
    """There: every connection waits for all of `-t`."""
    instance = place.start("-t", "20", *options, black_hole.address, named_backend("b"))

    started = time.monotonic()
    assert instance.names(10) == ["b"] * 10

    assert time.monotonic() - started < 10, "ten connections, of which the first learn"


def test_03_a_black_hole_in_the_first_group_costs_no_client_the_timeout(
    place, named_backend, black_hole
) -> None:
    instance = place.start("-t", "20", black_hole.address, "!", named_backend("spare"))

    started = time.monotonic()
    assert instance.names(6) == ["spare"] * 6

    assert time.monotonic() - started < 10


def test_04_a_client_that_has_finished_gets_its_answer(place, backend) -> None:
    """There: the answer is lost."""

    def play(line: Line) -> None:
        line.send(b"got %d" % len(line.read_to_end()))

    line = place.start(backend(play)).connect()
    line.send(b"question")
    line.finish()

    assert line.read_to_end() == b"got 8"


def test_05_no_direction_starves_the_other(place, backend) -> None:
    """There: as long as the client sends, nothing comes back."""

    def play(line: Line) -> None:
        line.send(b"hello")
        while line.read_some():
            pass

    line = place.start(backend(play)).connect()
    stop = threading.Event()

    def flood() -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                line.socket.sendall(b"x" * 65_536)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        assert line.read(5) == b"hello"
    finally:
        stop.set()
        flooding.join()


def test_06_the_wait_does_not_grow_with_the_channels(place, named_backend, black_hole) -> None:
    """There: channels times `-t`, in whole seconds."""
    holes = [black_hole.address] * 2
    instance = place.start("-t", "8", *holes, named_backend("last"))

    started = time.monotonic()
    assert instance.who() == "last"

    assert time.monotonic() - started < 4, "two would be 16 s one after the other"


def test_06_fractions_of_a_second_count(place, black_hole) -> None:
    instance = place.start("-t", "0.5", black_hole.address)

    started = time.monotonic()
    assert instance.who() is None

    assert 0.4 < time.monotonic() - started < 4, "whole seconds would be none, or the default's 5"


def test_07_nothing_that_happens_to_a_conversation_leaks_capacity(place, backend) -> None:
    """There: a conversation that is killed leaves c one too high for ever."""
    instance = place.start(f"{backend(echo).address}:2")
    for _ in range(5):
        line = instance.connect()
        line.send(b"x")
        assert line.read(1) == b"x"
        line.reset()

    wait_for(lambda: instance.row(0).c == 0)
    lines = [instance.connect() for _ in range(2)]
    for line in lines:
        line.send(b"x")
        assert line.read(1) == b"x"


def test_08_one_command_reaches_every_group(place, named_backend) -> None:
    """There: `-c` reaches group 0 only."""
    instance = place.start(named_backend("a"), "!", named_backend("b"))

    assert instance.ask("group 1; disable 0") == "channel 0 disabled\n"

    assert instance.states() == ["ENA", "DIS"]


def test_09_a_client_that_nobody_takes_is_reset(place) -> None:
    """There: it sees a connection that ends well, without an answer."""
    instance = place.start(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")

    with pytest.raises((OSError, BrokenOff)) as caught, instance.connect() as line:
        line.read(1)

    assert "reset" in str(caught.value).lower()


@pytest.mark.root
def test_10_names_are_followed(place, backend, hosts) -> None:
    """There: names are resolved once; a host that moves needs three commands."""
    place.inside = hosts.inside
    port = free_port()
    hosts.say("db.test", "127.0.0.2")
    before = backend(named("before"), socket.create_server(("127.0.0.2", port)))
    backend(named("after"), socket.create_server(("127.0.0.3", port)))
    instance = place.start(f"db.test:{port}")
    assert (instance.who(), instance.row(0).address) == ("before", "127.0.0.2")

    hosts.say("db.test", "127.0.0.3")
    before.refuse()

    # Looked up each half minute; at once where the old address fails.
    wait_for(lambda: instance.who() == "after", 15)
    assert (instance.row(0).address, instance.row(0).state) == ("127.0.0.3", "ENA")


def test_11_both_directions_at_once_do_not_stall(place, backend) -> None:
    """There: 16 MiB through an echo stall for good."""
    size = 16 << 20
    line = place.start(backend(echo)).connect()
    sent = os.urandom(1 << 16) * (size >> 16)
    sender = threading.Thread(target=line.send, args=(sent,))
    sender.start()

    assert line.read(size) == sent

    sender.join()


def test_12_a_backend_that_reads_slowly_is_still_heard(place, backend) -> None:
    """There: 0 to 3 of 40 answers arrived."""
    go = threading.Event()

    def play(line: Line) -> None:
        for number in range(40):
            line.send(b"%02d" % number)
        go.wait(20)

    line = place.start(backend(play)).connect()
    line.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            line.socket.send(b"x" * 65_536)
    line.socket.settimeout(10)

    assert line.read(80) == b"".join(b"%02d" % number for number in range(40))

    go.set()


def test_13_old_connections_are_not_counted_in_a_new_instance(place, named_backend) -> None:
    """There: they share memory, and c becomes -1."""
    a = named_backend("a")
    old = place.start(a)
    line = old.connect()
    assert line.read_line() == b"a"
    assert old.ask("kill") == "shutdown complete, exiting.\n"
    new = place.run(str(old.port), a.address)
    assert (new.returncode, new.stderr) == (0, ""), "the port is free at once"

    line.send(b"old")
    assert line.read(3) == b"old", "kill cuts nobody"
    assert old.who() == "a"
    wait_for(lambda: (old.row(0).c, old.row(0).totalc) == (0, 1))
    line.close()

    wait_for(lambda: len(place.running()) == 1)
    wait_for(lambda: (old.row(0).c, old.row(0).totalc) == (0, 1))


def test_14_a_daemon_that_can_not_start_says_so(place) -> None:
    """There: exit code 0, no word, and no instance."""
    done = place.run(str(free_port()), "no.such.host.invalid")
    assert (done.returncode, done.stdout) == (65, "")
    assert "no.such.host.invalid" in done.stderr

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = place.run("-b", "127.0.0.1", str(port), "127.0.0.1:1")
    assert done.returncode == 71
    assert "in use" in done.stderr

    assert place.running() == []


def test_a_reset_during_a_connect_frees_the_channel_at_once(place, black_hole) -> None:
    """INTERFACE.md, 7: not only when `-t` is over."""
    instance = place.start("-t", "30", f"{black_hole.address}:1")
    line = instance.connect()
    wait_for(lambda: instance.row(0).c == 1)

    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.socket.close()

    wait_for(lambda: instance.row(0).c == 0, 5)


def test_sigterm_ends_what_kill_has_left(place, backend) -> None:
    instance = place.foreground(backend(named("a")))
    line = instance.connect()
    assert line.read_line() == b"a"
    assert instance.process is not None

    instance.ask("kill")
    assert instance.process.poll() is None
    instance.process.send_signal(signal.SIGTERM)
    line.close()

    assert instance.process.wait(10) == 0
