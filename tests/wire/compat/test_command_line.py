"""What is wrong with a wrong command line (FEATURES.md, 2.1 and 3), and how a right one is read."""

from __future__ import annotations

import pytest

from harness.backend import free_port


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-f",),
        ("-z", "80", "a"),
        ("-t",),
        ("-t", "0", "80", "a"),
        ("-t", "x", "80", "a"),
        ("-T", "0", "80", "a"),
        ("-k", "1,2", "80", "a"),
        ("-K", "0,1,1", "80", "a"),
        ("no-such-service", "a"),
        ("0", "a"),
        ("65536", "a"),
        ("80", "!"),
        ("80", "a", "!", "!", "b"),
        ("80", "%", "a"),
        ("-i",),
        ("-c", "show"),
        ("-i", "80", "a"),
        ("-c", "show", "80", "a"),
        ("80", *["a", "!"] * 16, "a"),
        ("80", *["a"] * 65),
        ("--unknown", "80", "a"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_gets_the_usage_and_64(place, words) -> None:
    done = place.run(*words)

    assert done.returncode == 64
    assert done.stdout == ""
    assert "usage:\n  balance [-b addr] [-B addr] [-t sec] [-T sec]" in done.stderr
    assert place.running() == []


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("no.such.host.invalid", "no.such.host.invalid"),
        ("127.0.0.1:no-such-port", "invalid port number [no-such-port]"),
        ("127.0.0.1:80:x", "invalid max connections [x]"),
        (":80", "unknown or invalid address [:80]"),
    ],
)
def test_a_wrong_channel_is_65(place, channel, said) -> None:
    for foreground in ([], ["-f"]):
        done = place.run(*foreground, str(free_port()), channel)

        assert done.returncode == 65
        assert said in done.stderr


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "interval=5",
        "connect:interval=0",
        "connect:interval=x",
        "connect:pass=0",
        "command=",
        "command=true:timeout=1",
        "timeout=1:connect",
        "connect:nonsense",
        "connect:rise=0",
        "connect=1",
        "command=true:pass=256",
    ],
)
def test_a_wrong_monitoring_spec_is_69(place, spec) -> None:
    done = place.run("-m", spec, str(free_port()), "127.0.0.1:1")

    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("invalid monitoring spec")


def test_options_may_be_joined_and_may_follow_the_port(place, named_backend) -> None:
    port = free_port()
    done = place.run(str(port), named_backend("a").address, "-aHMt2", "-T", "60")

    assert done.returncode == 0
    assert place.run("-Mdc", "version", str(port)).stdout.startswith("  This is balance 3.54")
