"""The program of a backend process."""

import json

import pytest

from fairlead.testing import FakeBackend
from fairlead.testing.child import CALLS, main, obey


def test_each_order_is_answered(capsys):
    lines = ['{"call": "slow", "seconds": 0.1}\n', '{"call": "explode"}\n', '{"call": "refuse"}\n']
    main(["one", "127.0.0.1:0"], lines)
    address, *answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert address["address"].startswith("127.0.0.1:")
    assert answers == [{}, {"error": "there is no call `explode`"}, {}]


@pytest.mark.parametrize("call", sorted(CALLS))
def test_every_call_is_a_method(call):
    assert callable(getattr(FakeBackend, call))


def test_bad_arguments_are_an_answer():
    with FakeBackend() as backend:
        assert "loudly" in obey(backend, {"call": "reset", "loudly": True})["error"]
