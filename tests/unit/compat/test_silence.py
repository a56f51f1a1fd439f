from __future__ import annotations

import json

from fairlead.compat.silence import Silences


class Engine:
    def __init__(self):
        self.count = 0

    def status(self):
        reasons = {"client_idle": self.count, "ok": 3} if self.count else {"ok": 3}
        return json.dumps({"listeners": [{"reasons": reasons}]}).encode()


def test_each_is_told_once_in_balances_words():
    engine, lines = Engine(), []
    silences = Silences(engine, 1.5, lines.append)

    silences.look()
    assert lines == []
    engine.count = 2
    silences.look()
    silences.look()

    assert lines == ["timed out after 1.5 seconds"] * 2


def test_a_thousand_at_once_are_told_in_a_hundred_lines_and_a_number():
    engine, lines = Engine(), []
    silences = Silences(engine, 60, lines.append)
    engine.count = 1_100

    silences.look()

    assert lines[:100] == ["timed out after 60 seconds"] * 100
    assert lines[100:] == ["timed out after 60 seconds (1,000 more)"]


def test_what_is_counted_anew_is_no_news():
    """After `kill` the listener is gone, and its counts with it."""
    engine, lines = Engine(), []
    silences = Silences(engine, 1, lines.append)
    engine.count = 1
    silences.look()
    engine.count = 0
    silences.look()
    engine.count = 1
    silences.look()

    assert len(lines) == 1
