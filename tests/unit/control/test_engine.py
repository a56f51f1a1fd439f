"""The native engine is what control takes it for."""

import inspect
import os

import pytest

from fairlead.control.engine import Engine, start_engine


def test_the_native_engine_has_every_call_that_control_makes():
    native = start_engine(1)
    for name, _ in inspect.getmembers(Engine, inspect.isfunction):
        if not name.startswith("_"):
            assert callable(getattr(native, name)), name
    native.stop(0)


def test_events_can_be_waited_for_on_a_descriptor(loaded):
    native = start_engine(1)
    native.apply(loaded("127.0.0.1:9", listen="127.0.0.1:0").plan)
    assert b'"event":"applied"' in native.take_events()[0]
    with pytest.raises(BlockingIOError):
        os.read(native.event_fd(), 8)
    assert native.addresses()[0][0] == "web"
    native.stop(0)
