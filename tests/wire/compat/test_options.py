"""Each letter of the command line (FEATURES.md, 2.1 and 3)."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time

import pytest

from harness.backend import echo, free_port
from harness.balancer import wait_for
from harness.inlab import named


def test_b_tells_instances_of_one_port_apart(place, named_backend) -> None:
    port = free_port()
    for last, name in ((2, "two"), (3, "three")):
        bind = f"127.0.0.{last}"
        done = place.run("-b", bind, str(port), named_backend(name).address, patience=30)
        assert done.returncode == 0, done

    assert place.run("-c", "show", str(port)).returncode == 69
    assert place.run("-b", "127.0.0.2", "-c", "disable 0", str(port)).returncode == 0
    states = [
        place.run("-b", f"127.0.0.{last}", "-c", "show", str(port)).stdout.split()[14]
        for last in (2, 3)
    ]
    assert states == ["DIS", "ENA"]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 5)


def test_b_may_be_spelled_in_any_way(place, named_backend) -> None:
    port = free_port()
    place.run("-b", "localhost", "-6", str(port), named_backend("a").address)
    names = ["localhost", socket.getaddrinfo("localhost", None)[0][4][0]]

    assert [place.run("-b", name, "-c", "show", str(port)).returncode for name in names] == [0, 0]


def test_all_addresses_of_both_families_are_listened_on(place, named_backend) -> None:
    for options in ([], ["-6"]):
        instance = place.start(*options, named_backend("a"))

        hosts = ["127.0.0.1", "127.0.0.9", *(["::1"] if _has_ipv6() else [])]
        for host in hosts:
            with socket.create_connection((host, instance.port), 5) as client:
                assert client.recv(10) == b"a\r\n"


def test_ipv6_channels_are_shown_in_eleven_columns(place, backend) -> None:
    if not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    instance = place.start(backend(named("six"), listener), bind="::1")

    assert instance.who() == "six"
    assert instance.row(0).address == "::1"


def test_capital_b_is_the_source_of_outgoing_connections(place, backend) -> None:
    seen = []

    def play(line) -> None:
        seen.append(line.socket.getpeername()[0])

    place.start("-B", "127.0.0.77", backend(play)).who()

    wait_for(lambda: seen == ["127.0.0.77"])


def test_an_unusable_source_fails_at_the_start(place) -> None:
    for source, code in (("192.0.2.1", 71), ("no.such.host.invalid", 65)):
        done = place.run("-B", source, str(free_port()), "127.0.0.1:1")

        assert done.returncode == code
        assert source in done.stderr


def test_capital_t_ends_silent_connections(place, backend) -> None:
    line = place.start("-T", "1", backend(echo)).connect()
    line.send(b"x")
    assert line.read(1) == b"x"

    assert line.is_closed(patience=10)


def test_capital_t_tells_of_what_it_ends(place, backend) -> None:
    instance = place.foreground("-T", "1", backend(echo))
    lines = []
    for _ in range(2):
        lines.append(instance.connect())
        lines[-1].send(b"x")
        assert lines[-1].read(1) == b"x"
    for line in lines:
        assert line.is_closed(patience=10)
    instance.ask("kill")
    assert instance.process is not None

    said = instance.process.communicate(timeout=10)[1].decode().splitlines()

    assert [line for line in said if line.endswith("timed out after 1 seconds")] == [
        "fairlead: timed out after 1 seconds"
    ] * 2


def test_without_capital_t_connections_may_be_silent(place, backend) -> None:
    line = place.start(backend(echo)).connect()

    assert line.is_silent(1.2)
    line.send(b"x")
    assert line.read(1) == b"x"


def test_a_disables_what_fails_until_it_answers(place, named_backend) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("-a", a, b)
    a.refuse()

    assert instance.names(2) == ["b", "b"]
    assert instance.states() == ["dis", "ENA"]
    a.listen_again()

    wait_for(lambda: instance.who() == "a", 20)
    assert instance.states() == ["ENA", "ENA"]


def test_a_disables_the_last_one_too(place) -> None:
    instance = place.start("-a", *[f"127.0.0.1:{free_port()}"] * 3)

    assert instance.who() is None

    assert instance.states() == ["dis"] * 3


def test_without_a_no_failure_shows_as_disabled(place, named_backend) -> None:
    instance = place.start(f"127.0.0.1:{free_port()}", named_backend("b"))

    assert instance.names(6) == ["b"] * 6
    assert instance.states() == ["ENA", "ENA"]


def test_a_in_strict_mode_disables_until_enabled(place, named_backend) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("--compat=strict", "-a", a, b)
    a.refuse()
    assert instance.names(2) == ["b", "b"]
    wait_for(lambda: instance.states() == ["dis", "ENA"])
    a.listen_again()
    time.sleep(1.5)  # longer than the hold after which a trial would be made

    assert instance.names(4) == ["b"] * 4
    assert instance.ask("enable 0") == "channel 0 enabled\n"
    assert set(instance.names(4)) == {"a", "b"}


def test_enable_ends_what_a_has_begun(place, named_backend) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("-a", a, b)
    a.refuse()
    instance.names(2)
    a.listen_again()

    assert instance.ask("enable 0") == "channel 0 enabled\n"

    assert instance.states() == ["ENA", "ENA"]
    assert set(instance.names(2)) == {"a", "b"}
    assert instance.ask("disable 0") == "channel 0 disabled\n"
    assert instance.states() == ["DIS", "ENA"]


def test_capital_h_lets_others_of_a_hash_group_stand_in(place, named_backend) -> None:
    backends = [named_backend(name) for name in "abc"]
    spare = named_backend("spare")
    for options, stand_in in (([], "spare"), (["-H"], "b")):
        instance = place.start(*options, *backends, "%", spare)
        own = [last for last in range(1, 13) if instance.who(f"127.0.0.{last}") == "a"]
        assert len(own) == 4

        instance.ask("disable 0")

        assert {instance.who(f"127.0.0.{last}") for last in own} == {stand_in}
        others = {instance.who(f"127.0.0.{last}") for last in range(1, 13) if last not in own}
        assert others == {"b", "c"}


def test_groups_of_both_types_may_follow_each_other(place, named_backend) -> None:
    instance = place.start(
        f"127.0.0.1:{free_port()}", "!", *[named_backend(name) for name in "ab"], "%",
        named_backend("c"), "!",
    )  # fmt: skip

    assert [row.type for row in instance.show()] == ["RR", "Hash", "Hash", "RR"]
    assert {instance.who(f"127.0.0.{last}") for last in range(1, 9)} == {"a", "b"}
    assert len(set(instance.names(4))) == 1


def test_maxc_overflows_into_the_next_group(place, named_backend) -> None:
    main, spare = named_backend("main"), named_backend("spare")
    instance = place.start(f"{main.address}:2", "!", f"{spare.address}:1")

    lines, names = instance.opened(3)

    assert names == ["main", "main", "spare"]
    assert instance.who() is None
    lines[0].close()
    wait_for(lambda: instance.who() == "main")


def test_a_port_may_be_left_out_before_maxc(place, backend) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    backend(named("a"), listener)
    done = place.run("-b", "127.0.0.2", str(port), "127.0.0.1::7")

    assert done.returncode == 0, done
    words = place.run("-b", "127.0.0.2", "-c", "show", str(port)).stdout.split()[11:]
    assert (words[4], words[5], words[8]) == ("127.0.0.1", str(port), "7")


def test_an_instance_may_begin_without_channels(place, named_backend) -> None:
    instance = place.start()
    assert instance.show() == []
    assert instance.who() is None

    host, _, port = named_backend("a").address.rpartition(":")
    instance.ask(f"create {host} {port}; enable 0")

    assert instance.who() == "a"


def test_totalc_counts_attempts(place, named_backend) -> None:
    instance = place.start(f"127.0.0.1:{free_port()}", named_backend("b"))

    assert instance.who() == "b"

    assert [row.totalc for row in instance.show()] == [1, 1]


def test_round_robin_takes_turns_in_order(place, named_backend) -> None:
    instance = place.start(*[named_backend(name) for name in "abc"])

    assert instance.names(7) == list("abcabca")


def test_one_address_may_be_two_channels(place, named_backend) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start(a, a, b)

    assert instance.names(6) == ["a", "a", "b"] * 2
    assert [row.totalc for row in instance.show()] == [2, 2, 2]


def test_p_dumps_what_is_relayed(place, backend) -> None:
    instance = place.foreground("-p", backend(echo))
    line = instance.connect()
    line.send(b"HELO \\ \x00\xff\r\nx")
    assert line.read(12) == b"HELO \\ \x00\xff\r\nx"
    line.finish()
    assert line.read_to_end() == b""
    assert instance.process is not None
    instance.ask("kill")

    dumped = instance.process.communicate(timeout=10)[0].decode()

    piece = "HELO \\\\ \\00\\FF\\0D\\0A\nx\n"
    assert dumped == f"-> 12\n{piece}-< 12\n{piece}-> 0\n\n-< 0\n\n"


def test_d_in_the_foreground_tells_of_connections(place, named_backend) -> None:
    spare = f"localhost:{free_port()}:7"
    instance = place.foreground("-d", named_backend("a"), "!", spare)
    port, spare_port = (row.port for row in instance.show())
    assert instance.who() == "a"
    instance.ask("kill")
    assert instance.process is not None

    said = instance.process.communicate(timeout=10)[1].decode()

    listed = said.partition("the following channels are active:\n")[2].splitlines()[:2]
    assert listed[0] == f"  0  0 127.0.0.1:{port}:0"
    assert re.fullmatch(rf"  1  0 (127\.0\.0\.1|\[::1\]):{spare_port}:7", listed[1]), listed
    assert '"protocol":"tcp"' in said


def test_k_sets_the_keepalive_of_both_sides(place, backend) -> None:
    """As the kernel tells it: timers of the instance's connections (ss), where ss is there."""
    instance = place.start("-k", "77,7,7", "-K", "99,9,9", backend(echo))
    line = instance.connect()
    line.send(b"x")
    assert line.read(1) == b"x"
    try:
        done = subprocess.run(["ss", "-tnoH"], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("ss (iproute2) is not installed")

    timers = [row for row in done.stdout.splitlines() if "keepalive" in row]
    ours = [row for row in timers if f":{instance.port} " in row.split("timer")[0]]
    assert any("1min1" in row for row in ours), timers
    port = instance.row(0).port
    theirs = [row for row in timers if row.split()[4].endswith(f":{port}")]
    assert any("1min3" in row for row in theirs), timers


@pytest.mark.parametrize("options", [[], ["-p"]], ids=["plain", "dumped"])
def test_large_transfers_are_counted_and_dumped_whole(place, backend, options) -> None:
    """Much at once goes from socket to socket, past whoever counts and looks, unless told to."""
    size = 4 << 20
    instance = place.foreground(*options, backend(echo))
    assert instance.process is not None
    assert instance.process.stdout is not None
    stdout, dumped = instance.process.stdout, []
    reading = threading.Thread(target=lambda: dumped.append(stdout.read()))
    reading.start()
    with instance.connect() as line:
        sending = threading.Thread(target=line.send, args=(b"x" * size,))
        sending.start()
        line.read(size)
        sending.join()

        wait_for(lambda: (instance.row(0).sent, instance.row(0).rcvd) == (size, size))

    instance.ask("kill")
    assert instance.process.wait(10) == 0
    reading.join()
    pieces = re.findall(rb"^-([><]) (\d+)$", dumped[0], re.MULTILINE)
    if options:
        for arrow in (b">", b"<"):
            assert sum(int(count) for side, count in pieces if side == arrow) == size


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
