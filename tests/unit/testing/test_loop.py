"""A loop in a thread that can be frozen."""

import threading

import pytest

from fairlead.testing.loop import LoopThread


@pytest.fixture
def thread():
    made = LoopThread("test")
    made.start()
    yield made
    made.stop()


def test_calls_run_in_the_thread_and_failures_come_back(thread):
    names = []
    thread.call(lambda: names.append(threading.current_thread().name))
    assert names == ["test"]
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0)


def test_a_frozen_thread_does_nothing_until_thawed(thread):
    done = threading.Event()
    thread.freeze()
    thread.freeze()
    thread.loop.call_soon_threadsafe(done.set)
    assert not done.wait(0.05)
    thread.thaw()
    assert done.wait(5)
    thread.thaw()


def test_a_call_thaws(thread):
    thread.freeze()
    thread.call(lambda: None)


def test_it_can_be_started_again(thread):
    thread.stop()
    thread.stop()
    with pytest.raises(RuntimeError, match="is not running"):
        thread.call(lambda: None)
    thread.start()
    thread.call(lambda: None)
