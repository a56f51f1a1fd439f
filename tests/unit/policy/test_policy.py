"""The class that users derive theirs from."""

import pytest

from fairlead.policy.policy import Policy


class Scoring(Policy):
    def score(self, backends):
        return [1 for _ in backends]


def test_it_is_known_what_a_policy_writes():
    assert Scoring._writes("score")
    assert not Policy._writes("score")


def test_what_is_not_written_is_never_called():
    with pytest.raises(NotImplementedError):
        Policy().score([])
