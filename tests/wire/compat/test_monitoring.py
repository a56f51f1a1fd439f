"""Monitoring (`-m`): Last.fm's actions, options and states, and what it left out."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from harness.backend import free_port
from harness.balancer import wait_for


def test_a_dead_channel_is_out_and_comes_back_without_traffic(place, named_backend) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("-m", "connect:interval=1", a, b)
    a.refuse()

    wait_for(lambda: instance.states() == ["dis", "ENA"], 6)
    assert instance.names(4) == ["b"] * 4
    a.listen_again()

    wait_for(lambda: instance.states() == ["ENA", "ENA"], 6)
    assert set(instance.names(4)) == {"a", "b"}


def test_a_black_hole_is_out_within_six_seconds(place, named_backend, black_hole) -> None:
    instance = place.start("-m", "connect:interval=1", black_hole.address, named_backend("b"))

    wait_for(lambda: instance.states() == ["dis", "ENA"], 6)


def test_intervals_take_fractions(place, named_backend) -> None:
    a = named_backend("a")
    instance = place.start("-m", "connect:timeout=0.3:interval=0.2", a)
    a.refuse()

    wait_for(lambda: instance.states() == ["dis"], 2.5)


def test_one_lone_failure_takes_nobody_out(place, named_backend, tmp_path) -> None:
    """balance.fm: one failed check disables."""
    runs = tmp_path / "runs"
    command = f"echo x >>{runs}; [ $(wc -l <{runs}) -ne 2 ]"
    instance = place.start("-m", f"command={command}:interval=0.2", named_backend("a"))

    states = set()
    while not runs.exists() or len(runs.read_text().splitlines()) < 5:
        states.update(instance.states())

    assert states == {"ENA"}


def test_rise_and_fall_are_counted(place, named_backend, tmp_path) -> None:
    good, runs = tmp_path / "good", tmp_path / "runs"
    command = f"echo x >>{runs}; [ -e {good} ]"
    good.touch()
    spec = f"command={command}:interval=0.2:rise=3:fall=2"
    instance = place.start("-m", spec, named_backend("a"))
    wait_for(runs.exists)

    good.unlink()
    runs.unlink()
    wait_for(lambda: instance.states() == ["dis"])
    failures = len(runs.read_text().splitlines())
    good.touch()
    runs.unlink()
    wait_for(lambda: instance.states() == ["ENA"])

    assert failures >= 2
    assert len(runs.read_text().splitlines()) >= 3


def test_actions_are_done_in_order_and_the_first_failure_decides(
    place, named_backend, tmp_path
) -> None:
    ran = tmp_path / "ran"
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("-m", f"connect:command=echo %H %P >>{ran}:interval=0.2:fall=1", a, b)
    wait_for(lambda: ran.exists() and len(set(ran.read_text().splitlines())) == 2)
    assert set(ran.read_text().splitlines()) == {
        backend.address.replace(":", " ") for backend in (a, b)
    }
    a.refuse()
    wait_for(lambda: instance.states() == ["dis", "ENA"])

    ran.unlink()
    wait_for(lambda: ran.exists() and len(ran.read_text().splitlines()) > 2)

    assert set(ran.read_text().splitlines()) == {b.address.replace(":", " ")}


@pytest.mark.parametrize(
    ("command", "state"),
    [
        ("exit 2:pass=0,2", "ENA"),
        ("exit 2", "dis"),
        ("exit 1:pass=0,2", "dis"),
        ("kill -9 $$", "ENA"),
        (r"test a\:b = a\:b", "ENA"),
        ("test 100%% = 100%%", "ENA"),
    ],
)
def test_exit_codes_decide_and_an_end_by_a_signal_decides_nothing(
    place, named_backend, tmp_path, command, state
) -> None:
    ran = tmp_path / "ran"
    line, colon, codes = command.partition(":pass")
    spec = f"command=echo x >>{ran}; {line}{colon}{codes}:interval=0.1:fall=1"
    instance = place.start("-m", spec, named_backend("a"))
    wait_for(lambda: ran.exists() and len(ran.read_text().splitlines()) > 2)

    wait_for(lambda: instance.states() == [state])


def test_nodisable_takes_nobody_out_and_brings_back(place, named_backend) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("-a", "-m", "connect:interval=0.2:nodisable", a, b)
    a.refuse()
    time.sleep(1)  # several rounds, each of which would have taken it out
    assert instance.states() == ["ENA", "ENA"]
    instance.names(2)
    wait_for(lambda: instance.states() == ["dis", "ENA"])
    a.listen_again()

    wait_for(lambda: instance.states() == ["ENA", "ENA"])


def test_noenable_brings_nobody_back(place, named_backend) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("-m", "connect:interval=0.2:noenable:fall=2", a, b)
    a.refuse()
    wait_for(lambda: instance.states() == ["dis", "ENA"])
    a.listen_again()
    time.sleep(1)  # several rounds, each of which would have brought it back

    assert instance.states() == ["dis", "ENA"]
    assert instance.names(2) == ["b", "b"]
    assert instance.ask("enable 0") == "channel 0 enabled\n"
    assert instance.states() == ["ENA", "ENA"]


def test_what_was_disabled_by_hand_stays_so(place, named_backend) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("-m", "connect:interval=0.2:fall=2", a, b)
    instance.ask("disable 0")
    b.refuse()
    wait_for(lambda: instance.states() == ["DIS", "dis"])

    assert instance.ask("assign 1 127.0.0.1 1") == (
        "channel must be disabled to assign new address\n"
    )
    assert instance.ask("disable 1") == "channel 1 disabled\n"
    assert instance.states() == ["DIS", "DIS"]


def test_monitoring_can_rest(place, named_backend) -> None:
    a = named_backend("a")
    instance = place.start("-m", "connect:interval=0.2:fall=2", a)
    pid = instance.pid()
    assert instance.ask("monitor show") == (
        f"monitor process running as pid {pid} and is enabled\n"
    )
    assert pid in place.running()
    assert instance.ask("monitor enable") == "monitor is already enabled\n"
    assert instance.ask("mon dis") == "monitor is now disabled\n"
    assert instance.ask("monitor disable") == "monitor is already disabled\n"
    assert instance.ask("monitor show").endswith(" and is disabled\n")
    a.refuse()
    time.sleep(1)  # several rounds, had they been made

    assert instance.states() == ["ENA"]
    assert instance.ask("monitor enable") == "monitor is now enabled\n"
    wait_for(lambda: instance.states() == ["dis"])


def test_channels_made_at_run_time_are_monitored(place, named_backend) -> None:
    """balance.fm doesn't, where their group is new."""
    instance = place.start("-m", "connect:interval=0.2:fall=2", named_backend("a"))

    instance.ask(f"group 5; create 127.0.0.1 {free_port()}; enable 0")

    wait_for(lambda: instance.states() == ["ENA", "dis"])


def test_what_traffic_fails_at_is_checked_at_once(place, named_backend) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("-m", "connect:interval=60:fall=2", a, b)
    wait_for(lambda: instance.names(2) == ["a", "b"])
    a.refuse()

    instance.names(2)

    wait_for(lambda: instance.states() == ["dis", "ENA"], 6)
    a.listen_again()
    instance.ask("enable 0")
    assert instance.states() == ["ENA", "ENA"]


def test_with_a_one_failed_connect_is_enough_and_one_failed_check_is_not(
    place, named_backend
) -> None:
    a, b = named_backend("a"), named_backend("b")
    instance = place.start("-a", "-m", "connect:interval=60", a, b)
    a.refuse()
    instance.names(2)

    wait_for(lambda: instance.states() == ["dis", "ENA"], 1.5)


def test_transitions_are_events(place, named_backend) -> None:
    a = named_backend("a")
    instance = place.foreground("-m", "connect:interval=0.2:fall=2", a)
    a.refuse()
    wait_for(lambda: instance.states() == ["dis"])
    a.listen_again()
    wait_for(lambda: instance.states() == ["ENA"])
    instance.ask("kill")
    assert instance.process is not None

    said = instance.process.communicate(timeout=10)[1].decode()

    assert f"backend {a.address} suspect -> down: check: failed (connection refused), 2" in said, (
        said
    )
    assert f"backend {a.address} down -> healthy: check: passed (connected)" in said


@pytest.mark.root
def test_transitions_are_told_to_syslog(place, named_backend) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: who is told is played at /dev/log")
    log = Path("/dev/log")
    if log.exists():
        # Somebody is told already: what is played lies over it, and only this instance sees it.
        log = place.folder / "log"
        place.inside = (
            *("unshare", "-m", "--propagation", "private"),
            *("sh", "-c", 'mount --bind "$0" /dev/log && exec "$@"', str(log)),
        )
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(log))
        try:
            syslog.settimeout(0.2)
            stop = threading.Event()

            def listen() -> None:
                while not stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        heard.append(syslog.recv(4096).decode())

            listening = threading.Thread(target=listen)
            listening.start()
            a, b = named_backend("a"), named_backend("b")
            instance = place.start("-a", "-m", "connect:interval=0.2", a, b)
            a.refuse()
            instance.names(2)
            wait_for(lambda: any("is out" in line for line in heard))
            a.listen_again()
            wait_for(lambda: any("is back" in line for line in heard))
        finally:
            stop.set()
            listening.join()
            log.unlink()

    pattern = re.compile(r"<29>.* Balance\[\d+\]: (.*?)\0?")
    said = [found[1] for line in heard if (found := pattern.fullmatch(line))]
    assert said[0] == "connection failed group 0 channel 0"
    assert said[1].startswith(f"group 0 channel 0 ({a.address}) is out: traffic: connect refused")
    assert said[2].startswith(f"group 0 channel 0 ({a.address}) is back: ")
