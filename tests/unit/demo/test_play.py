"""The demo as a whole: real processes, a real engine, no errors, nothing left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from fairlead.demo import play as module
from fairlead.demo import run, scenario
from fairlead.demo.scenario import Act

# Tells the demos of this run from those of others on the machine.
MARK = f"mark-{uuid.uuid4()}"


class Silent:
    """A view that keeps what it is told."""

    def __init__(self):
        self.lines = []
        self.scenes = 0

    def start(self, lines):
        self.lines += lines

    def show(self, _):
        self.scenes += 1

    def line(self, _, text):
        self.lines.append(text)

    def stop(self):
        self.lines.append("(end)")


def children():
    """The processes of the demo that are alive."""
    found = []
    for directory in Path("/proc").iterdir():
        try:
            command = (directory / "cmdline").read_bytes()
            ours = MARK.encode() in (directory / "environ").read_bytes()
        except OSError:
            continue
        child = b"fairlead.testing.child" in command or b"fairlead.demo.clients" in command
        if ours and child:
            found.append(directory.name)
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch):
    monkeypatch.setenv("FAIRLEAD_TEST", MARK)
    yield
    deadline = time.monotonic() + 5
    while children():
        assert time.monotonic() < deadline, "processes of the demo are left"
        time.sleep(0.05)


def play(seconds, view):
    return asyncio.run(module.play(seconds, view))


def test_an_act_of_each_kind_costs_no_client_an_error(monkeypatch):
    acts = [
        Act(0.2, 1.6, ("ash",), "kill"),
        Act(0.2, 1.6, ("birch",), "freeze"),
        Act(0.3, 1.4, ("cedar",), "break_off"),
        Act(1.8, 2.2, ("elm",), "drain"),
        Act(2.4, 3.4, ("elm",), "swallow"),
        Act(2.4, 3.4, ("ash",), "slow"),
    ]
    monkeypatch.setattr(scenario, "acts", lambda _: iter(acts))
    view = Silent()
    report = play(5, view)
    assert report.error_texts == []
    assert report.requests > 200
    assert report.exit_code == 0
    by_name = {(deed.backend, deed.text.split()[0]): deed for deed in report.deeds}
    assert by_name["ash", "killed"].out_after is not None
    assert by_name["ash", "killed"].back_after is not None
    assert by_name["elm", "drained"].hidden == 0
    assert view.scenes > 10
    assert view.lines[-1] == "(end)"


def test_a_part_that_fails_fails_the_demo(monkeypatch):
    def acts(_):
        raise ZeroDivisionError("oops")
        yield

    monkeypatch.setattr(scenario, "acts", acts)
    report = play(5, Silent())
    assert report.exit_code == 1
    assert any("oops" in text for text in report.error_texts)


def test_a_signal_ends_it_early_with_a_report():
    view = Silent()

    def interrupt():
        while not any("misbehave" in line for line in view.lines):
            time.sleep(0.01)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    report = play(None, view)
    thread.join()
    assert report.seconds < 5
    assert report.exit_code == 0


def test_children_end_with_a_demo_that_is_killed_even_frozen_ones():
    program = (sys.executable, "-c", "import fairlead.demo; fairlead.demo.run()")
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "frozen" in line:
                break
        assert len(children()) == 6
        process.kill()


def test_the_whole_thing_says_what_it_does(capfd):
    assert run(2.5, json=True) == 0
    out, err = capfd.readouterr()
    assert out.startswith('{"seconds": ')
    assert err.startswith("fairlead demo: ash, birch, cedar, elm and the reserve oak misbehave")
    assert "not one error" in err
