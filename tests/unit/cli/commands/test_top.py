from __future__ import annotations

import json
import os
import pty
import sys

import pytest

from fairlead.cli.commands import top
from harness.instance import STATUS


def test_off_a_terminal_it_is_a_table_each_time(run, instance, monkeypatch):
    monkeypatch.setattr(top.time, "sleep", lambda _: None)
    instance()
    done = run("top", "--times", "2")

    assert (done.code, done.err) == (0, "")
    assert done.out.count("LISTENER") == 2
    assert "\033" not in done.out


def test_for_programs_it_is_a_line_each_time(run, instance):
    instance()
    done = run("top", "--times", "1", "--json")

    assert [json.loads(line) for line in done.out.splitlines()] == [STATUS]


def test_an_instance_that_ends_ends_it(run, instance):
    answers = iter([(200, STATUS), (500, b"")])
    instance({"GET /v1/status": lambda _: next(answers)})

    assert run("top", "--every", "1").code == 1


@pytest.mark.parametrize("keys", [b"q", b"\x03"])
def test_on_a_terminal_the_screen_is_taken_and_given_back(instance, keys):
    made = instance()
    process, terminal = pty.fork()
    if process == 0:
        os.environ["TERM"] = "xterm"
        words = [sys.executable, "-m", "fairlead", "top", "--instance", str(made.path)]
        os.execv(sys.executable, words)
    seen = b""
    try:
        while b"q ends it" not in seen:
            seen += os.read(terminal, 65_536)
        os.write(terminal, keys)
        while b"\033[?1049l" not in seen:
            seen += os.read(terminal, 65_536)
    finally:
        _, status = os.waitpid(process, 0)
        os.close(terminal)
    assert b"\033[?1049h" in seen
    assert b"app1:8000" in seen
    assert os.waitstatus_to_exitcode(status) == (0 if keys == b"q" else 130)
