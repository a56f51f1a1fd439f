"""Every command of `-i` and `-c`, and its exact answer (FEATURES.md, 2.2)."""

from __future__ import annotations

import pytest

from harness.balancer import wait_for

TITLES = "GRP Type  #   S       ip-address  port    c      totalc maxc        sent        rcvd\n"


@pytest.fixture
def instance(place, named_backend):
    """Two channels in group 0, one in group 1; nobody has connected."""
    return place.start(named_backend("a"), named_backend("b"), "!", named_backend("c"))


def test_show_has_eleven_columns(instance) -> None:
    said = instance.ask("show")

    lines = said.splitlines(keepends=True)
    assert lines[0] == TITLES
    port = instance.row(0).port
    assert lines[1] == (
        f"  0   RR  0 ENA        127.0.0.1 {port:5}    0           0    0           0           0\n"
    )
    assert [(row.group, row.type, row.number) for row in instance.show()] == [
        (0, "RR", 0),
        (0, "RR", 1),
        (1, "RR", 0),
    ]


def test_enable_and_disable(instance) -> None:
    assert instance.ask("disable 1") == "channel 1 disabled\n"
    assert instance.states() == ["ENA", "DIS", "ENA"]
    assert instance.ask("disable 1") == "channel 1 already disabled\n"
    assert instance.names(4) == ["a"] * 4
    assert instance.ask("enable 1") == "channel 1 enabled\n"
    assert instance.ask("enable 1") == "channel 1 already enabled\n"
    assert sorted(filter(None, instance.names(4))) == ["a", "a", "b", "b"]
    for command in ("enable", "disable"):
        assert instance.ask(f"{command} 2") == "no such channel 2\n"
        assert instance.ask(f"{command} -1") == "no such channel -1\n"
        assert instance.ask(command) == "syntax error\n"
        assert instance.ask(f"{command} x") == "syntax error\n"


def test_established_connections_stay_when_a_channel_is_disabled(instance) -> None:
    line = instance.connect()
    assert line.read_line() == b"a"
    instance.ask("disable 0")

    line.send(b"still here")

    assert line.read(10) == b"still here"
    assert instance.row(0).c == 1


def test_a_conversation_has_a_current_group(instance) -> None:
    assert instance.typed("group 1", "disable 0", "group 16", "group -1", "group x", "group") == (
        "balance[0] balance[1] channel 0 disabled\n"
        "balance[1] value out of range\n"
        "balance[1] value out of range\n"
        "balance[1] syntax error\n"
        "balance[1] syntax error\n"
        "balance[1] \n"
    )
    assert instance.states() == ["ENA", "ENA", "DIS"]


def test_semicolons_reach_every_group_from_one_command(instance) -> None:
    assert instance.ask("group 1; disable 0; group 0; disable 1") == (
        "channel 0 disabled\nchannel 1 disabled\n"
    )
    assert instance.states() == ["ENA", "DIS", "DIS"]


def test_assign_wants_a_disabled_channel_and_a_good_address(instance, named_backend) -> None:
    new = named_backend("new")
    host, _, port = new.address.rpartition(":")

    assert instance.ask(f"assign 0 {host} {port}") == (
        "channel must be disabled to assign new address\n"
    )
    instance.ask("disable 0")
    assert instance.ask(f"assign 9 {host} {port}") == "unknown channel\n"
    assert instance.ask(f"assign 0 no.such.host.invalid {port}") == "invalid address\n"
    assert instance.ask(f"assign 0 {host} no-such-port") == "invalid address\n"
    assert instance.ask("assign 0") == "syntax error\n"
    assert instance.ask(f"assign 0 {host} {port}") == "channel reassigned\n"
    assert (instance.row(0).port, instance.row(0).state) == (int(port), "DIS")
    instance.ask("enable 0")
    assert set(instance.names(4)) == {"new", "b"}


def test_counters_go_on_when_a_channel_moves(instance, named_backend) -> None:
    line = instance.connect()
    assert line.read_line() == b"a"
    host, _, port = named_backend("new").address.rpartition(":")
    instance.ask(f"disable 0; assign 0 {host} {port}; enable 0")

    wait_for(lambda: instance.row(0)[6:8] + instance.row(0)[10:] == (1, 1, 3))
    assert instance.who() == "b"
    assert instance.who() == "new"
    line.send(b"moved")
    assert line.read(5) == b"moved"
    line.close()
    assert instance.row(0).totalc == 2

    instance.ask("maxc 0 9")

    wait_for(lambda: (instance.row(0).totalc, instance.row(0).sent) == (2, 5))


def test_create_appends_a_disabled_channel(instance, named_backend) -> None:
    host, _, port = named_backend("new").address.rpartition(":")

    assert instance.ask(f"create {host} {port}") == "channel created\n"
    row = instance.row(2)
    assert (row.state, row.port, row.maxc, row.totalc) == ("DIS", int(port), 0, 0)
    assert "new" not in instance.names(4)
    assert instance.ask("enable 2") == "channel 2 enabled\n"
    assert "new" in instance.names(3)
    assert instance.ask(f"create {host}:2525 80") == "channel created\n"
    assert (instance.row(3).address, instance.row(3).port) == (host, 2525), "the host's own port"
    assert instance.ask("create no.such.host.invalid 80") == "invalid address\n"
    assert instance.ask("create 127.0.0.1 0") == "invalid address\n"
    assert instance.ask("create 127.0.0.1") == "syntax error\n"
    assert instance.ask(f"group 7; create {host} smtp; show").splitlines()[-1].split()[:6] == [
        "7",
        "RR",
        "0",
        "DIS",
        "127.0.0.1",
        "25",
    ]


def test_a_group_has_room_for_64_channels(instance) -> None:
    commands = ";".join(["group 2", *["create 127.0.0.1 9"] * 65])

    said = instance.ask(commands).splitlines()

    assert said == ["channel created"] * 64 + ["no channel slots available"]


def test_hash_and_rr_change_the_current_group(instance) -> None:
    assert instance.ask("hash") == "group 0 set to hash\n"
    assert [row.type for row in instance.show()] == ["Hash", "Hash", "RR"]
    assert len(set(instance.names(6))) == 1, "one client, one channel"
    assert instance.ask("rr") == "group 0 set to round robin\n"
    assert set(instance.names(4)) == {"a", "b"}
    assert instance.ask("group 1; hash") == "group 1 set to hash\n"


def test_maxc_changes_a_limit(instance) -> None:
    assert instance.ask("maxc 0 1; maxc 1 1") == (
        "maxc of channel 0 changed to 1\nmaxc of channel 1 changed to 1\n"
    )
    assert [row.maxc for row in instance.show()] == [1, 1, 0]
    lines, names = instance.opened(3)
    assert names == ["a", "b", "c"]
    assert instance.ask("maxc 0 0") == "maxc of channel 0 changed to 0\n"
    assert instance.who() == "a"
    for line in lines:
        line.close()
    assert instance.ask("maxc 5 1") == "unknown channel\n"
    assert instance.ask("maxc 0") == "syntax error\n"


def test_mrtg_prints_four_lines(instance) -> None:
    line = instance.connect()
    assert line.read_line() == b"a"
    line.send(b"12345")
    assert line.read(5) == b"12345"
    wait_for(lambda: (instance.row(0).sent, instance.row(0).rcvd) == (5, 8))

    assert instance.ask("mrtg-bytes 0 0") == "8\n5\nUNKNOWN\ngroup 0 channel 0\n"
    assert instance.ask("mrtg-conns 0 0") == "1\nUNKNOWN\nUNKNOWN\ngroup 0 channel 0\n"
    for command in ("mrtg-bytes", "mrtg-conns"):
        assert instance.ask(f"{command} 16 0") == "unknown group\n"
        assert instance.ask(f"{command} 0 2") == "unknown channel\n"
        assert instance.ask(f"{command} 0") == "syntax error\n"


def test_reset_zeroes_the_counters_of_a_channel(instance) -> None:
    instance.names(2)
    # Not before it is over: what is counted after the reset would stay.
    wait_for(lambda: (instance.row(0).c, instance.row(0).totalc, instance.row(0).rcvd) == (0, 1, 3))

    assert instance.ask("reset 0") == "channel 0 counters reset\n"

    assert (instance.row(0).totalc, instance.row(0).rcvd, instance.row(0).sent) == (0, 0, 0)
    assert instance.row(1).totalc == 1
    assert instance.ask("reset 9") == "no such channel 9\n"
    instance.names(2)
    wait_for(lambda: (instance.row(0).totalc, instance.row(0).rcvd) == (1, 3))


def test_version_is_that_of_the_balance_it_stands_for(instance) -> None:
    assert instance.ask("version") == ("  This is balance 3.54\n  MAXGROUPS=16\n  MAXCHANNELS=64\n")


@pytest.mark.parametrize("command", ["help", "?", "h", "hel"])
def test_help_lists_every_command(instance, command) -> None:
    lines = instance.ask(command).splitlines()

    assert lines[0] == "available commands:"
    assert [line.split()[0] for line in lines[1:]] == [
        "create",
        "assign",
        "disable",
        "enable",
        "group",
        "monitor",
        "hash",
        "help",
        "kill",
        "maxc",
        "mrtg-bytes",
        "mrtg-conns",
        "quit",
        "reset",
        "rr",
        "show",
        "version",
    ]


def test_a_beginning_finds_the_first_command_in_the_order_of_balance(instance) -> None:
    said = instance.typed("s", "h", "ha", "r 0", "rr", "d 0", "e 0", "g 1", "mr 0 0", "v", "q")

    prompts = said.split("balance[0] ")
    assert prompts[1].startswith(TITLES)
    assert prompts[2].startswith("available commands:")
    assert prompts[3] == "group 0 set to hash\n"
    assert prompts[4] == "channel 0 counters reset\n"
    assert prompts[5] == "group 0 set to round robin\n"
    assert prompts[6] == "channel 0 disabled\n"
    assert prompts[7] == "channel 0 enabled\n"
    assert prompts[8] == (
        "balance[1] 0\n0\nUNKNOWN\ngroup 0 channel 0\nbalance[1] "
        "  This is balance 3.54\n  MAXGROUPS=16\n  MAXCHANNELS=64\nbalance[1] "
    )


@pytest.mark.parametrize("command", ["nonsense", "showx", "S", "enable1"])
def test_anything_else_is_a_syntax_error(instance, command) -> None:
    assert instance.ask(command) == "syntax error\n"


def test_an_empty_line_is_no_command(instance) -> None:
    assert instance.typed("", "  ", "quit") == "balance[0] balance[0] balance[0] "
    assert instance.ask("") == ""


def test_the_banner_names_a_living_process(place, instance) -> None:
    done = place.run("-i", *instance.name)

    assert done.stdout.splitlines()[:2] == ["", "balance 3.54 interactive command shell"]
    assert done.stdout.endswith("\n\nbalance[0] \n"), "the end of the input is one of the shell"
    assert instance.pid() in place.running()


def test_monitor_without_monitoring(instance) -> None:
    for command in ("show", "enable", "disable"):
        assert instance.ask(f"monitor {command}") == "no monitor process running\n"
    assert instance.ask("monitor") == "syntax error\n"
    assert instance.ask("monitor x") == "syntax error\n"


def test_kill_ends_the_instance(place, instance) -> None:
    done = place.run("-c", "kill", *instance.name)

    assert (done.returncode, done.stdout) == (0, "shutdown complete, exiting.\n")
    done = place.run("-c", "show", *instance.name)
    assert (done.returncode, done.stdout, done.stderr) == (
        69,
        "no master process, exiting.\n",
        "",
    )


def test_kill_in_a_conversation_ends_it_too(place, instance) -> None:
    done = place.run("-i", *instance.name, typed="k\nshow\n")

    assert done.stdout.endswith("balance[0] shutdown complete, exiting.\n")
    assert done.returncode == 0
