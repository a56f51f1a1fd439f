"""Lines for people never hold anything up."""

import threading

from fairlead.control import teller as module
from fairlead.control.teller import Teller


def test_lines_are_said_in_order():
    said = []
    teller = Teller(said.append)
    for number in range(100):
        teller.say(str(number))
    assert teller.flush(5)
    assert said == [str(number) for number in range(100)]


def test_a_blocked_reader_blocks_nobody_and_losses_are_counted(monkeypatch):
    monkeypatch.setattr(module, "_WAITING", 3)
    go, said = threading.Event(), []

    def tell(line):
        go.wait(5)
        said.append(line)

    teller = Teller(tell)
    teller.say("first")
    while teller._lines:  # taken, and stuck
        pass
    for number in range(5):
        teller.say(str(number))
    assert not teller.flush(0.01)
    go.set()
    assert teller.flush(5)
    assert said[:4] == ["first", "0", "1", "2"]
    assert said[4].startswith("2 lines were lost")


def test_there_is_nothing_to_flush_before_the_first_line():
    assert Teller(print).flush(0)
