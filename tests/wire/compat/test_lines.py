"""Command lines as people use them, unchanged (but for ports that a test may have)."""

from __future__ import annotations

import subprocess

import pytest

from harness.backend import free_port
from harness.balancer import PROGRAM, wait_for
from harness.inlab import Instance


@pytest.fixture
def sh(place):
    """Runs lines of a shell in which `balance` is the program of that name."""
    folder = place.folder / "bin"
    folder.mkdir()
    (folder / "balance").symlink_to(PROGRAM)

    def run(line: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-ec", line],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
            stdin=subprocess.DEVNULL,
            env={**place.environment, "PATH": f"{folder}:/usr/bin:/bin"},
        )
        assert done.returncode == 0, done
        return done.stdout

    return run


@pytest.fixture
def clients(place):
    """An instance that a shell has started, for its clients."""

    def of(port: int) -> Instance:
        instance = Instance(place, None)
        instance.port = port
        return instance

    return of


def test_1_mail_to_two_hosts(sh, clients, named_backend) -> None:
    port = free_port()
    mail1, mail2 = named_backend("mail1").address, named_backend("mail2").address

    sh(f"balance {port} {mail1} {mail2}")

    assert clients(port).names(4) == ["mail1", "mail2", "mail1", "mail2"]


def test_2_a_database_with_a_spare(sh, clients, named_backend) -> None:
    port, spare = free_port(), named_backend("spare").address
    main = named_backend("main")

    sh(f"balance -t 2 {port} {main.address} ! {spare}")

    assert clients(port).names(3) == ["main"] * 3
    main.refuse()
    assert clients(port).names(3) == ["spare"] * 3
    main.listen_again()
    wait_for(lambda: clients(port).who() == "main")


def test_3_hash_groups_keep_clients_where_they_are(sh, clients, named_backend) -> None:
    port = free_port()
    web = " ".join(named_backend(name).address for name in ("web1", "web2", "web3"))
    sorry = named_backend("sorry").address

    sh(f"balance -H {port} {web} % {sorry}")

    took = [clients(port).who(f"127.0.0.{last}") for last in range(1, 10)]
    assert sorted(took) == ["web1"] * 3 + ["web2"] * 3 + ["web3"] * 3
    assert [clients(port).who(f"127.0.0.{last}") for last in range(1, 10)] == took


def test_4_autodisable_with_monitoring(sh, clients, named_backend) -> None:
    port = free_port()
    db1, db2 = named_backend("db1"), named_backend("db2")

    sh(f"balance -a -m connect:timeout=0.4:interval=1 {port} {db1.address} {db2.address}")

    db1.refuse()
    assert clients(port).names(3) == ["db2"] * 3
    wait_for(lambda: clients(port).states() == ["dis", "ENA"])
    db1.listen_again()
    wait_for(lambda: clients(port).states() == ["ENA", "ENA"])


def test_5_mrtg_asks_from_cron(sh, clients, named_backend) -> None:
    port = free_port()
    sh(f"balance {port} {named_backend('a').address} {named_backend('b').address}")
    clients(port).names(2)

    assert sh(f"balance -c 'mrtg-conns 0 1' {port}") == "1\nUNKNOWN\nUNKNOWN\ngroup 0 channel 1\n"
    assert sh(f"balance -c 'mrtg-bytes 0 0' {port} >/dev/null && echo $?") == "0\n"


def test_6_limits_and_overflow(sh, clients, named_backend) -> None:
    port = free_port()
    imap = named_backend("imap").address

    sh(f"balance {port} {imap}:1 ! {named_backend('overflow').address}")

    with clients(port).connect() as first:
        assert first.read_line() == b"imap"
        assert clients(port).who() == "overflow"


def test_7_a_script_takes_a_host_out_and_puts_it_back(sh, clients, named_backend) -> None:
    port = free_port()
    sh(f"balance {port} {named_backend('a').address} {named_backend('b').address}")

    assert sh(f"balance -c 'disable 0' {port}") == "channel 0 disabled\n"
    assert sh(f"balance -c show {port} | grep -c DIS") == "1\n"
    assert clients(port).names(2) == ["b", "b"]
    assert sh(f"balance -c 'enable 0' {port}") == "channel 0 enabled\n"


def test_8_commands_are_piped_into_the_shell(sh, named_backend) -> None:
    port = free_port()
    sh(f"balance {port} {named_backend('a').address} ! {named_backend('b').address}")

    said = sh(f"printf 'group 1\\ndisable 0\\nshow\\nquit\\n' | balance -i {port}")

    assert "balance[1] channel 0 disabled\n" in said
    assert said.splitlines()[-1] == "balance[1] "


def test_9_it_is_restarted_as_init_scripts_do(sh, clients, named_backend) -> None:
    port, a = free_port(), named_backend("a").address
    sh(f"balance -b 127.0.0.1 {port} {a}")

    said = sh(
        f"balance -b 127.0.0.1 -c kill {port}; balance -b 127.0.0.1 {port} {a}; "
        f"balance -b 127.0.0.1 -c version {port}"
    )

    assert said.startswith("shutdown complete, exiting.\n  This is balance 3.54\n")
    assert clients(port).who() == "a"


def test_10_a_command_decides_who_is_well(sh, clients, named_backend, tmp_path) -> None:
    port = free_port()
    check = tmp_path / "checksvc"
    check.write_text('#!/bin/sh\n[ "$2" = 127.0.0.1 ] && [ "$4" -gt 0 ] && [ ! -e "$0.sick" ]\n')
    check.chmod(0o755)
    spec = f"connect:timeout=0.4:command={check} -s %H -p %P >/dev/null:pass=0,2:interval=0.2"

    sh(f"balance -m '{spec}' {port} {named_backend('svr1').address}")

    assert clients(port).states() == ["ENA"]
    (tmp_path / "checksvc.sick").touch()
    wait_for(lambda: clients(port).states() == ["dis"])
    (tmp_path / "checksvc.sick").unlink()
    wait_for(lambda: clients(port).states() == ["ENA"])
