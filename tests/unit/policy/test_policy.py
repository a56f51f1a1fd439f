"""The class that users derive theirs from."""

import pytest

from fairlead.policy.policy import Policy
from fairlead.policy.request import Request


class Scoring(Policy):
    def score(self, backends):
        return [1 for _ in backends]


def test_it_is_known_what_a_policy_writes():
    assert Scoring.writes("score")
    assert not Scoring.writes("pick")
    assert not Policy.writes("score")


def test_what_is_not_written_is_never_called():
    with pytest.raises(NotImplementedError):
        Policy().score([])
    with pytest.raises(NotImplementedError):
        Policy().pick(Request("web"), [])
