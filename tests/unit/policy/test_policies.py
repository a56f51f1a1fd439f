"""Which policy works for which pool."""

import gc

import pytest

from fairlead.loader import LoadError
from fairlead.policy.policies import Policies, make
from fairlead.policy.policy import Policy


class Mine(Policy):
    def score(self, backends):
        return [1 for _ in backends]


class Picky(Mine):
    def __init__(self, needed):
        self.needed = needed


class Broken(Mine):
    def __init__(self):
        raise RuntimeError("no database")


def test_a_class_makes_one_for_each_pool_and_an_instance_is_used_as_it_is():
    assert make("m:Mine", Mine).policy is not make("m:Mine", Mine).policy
    mine = Mine()
    assert make("m:mine", mine).policy is mine


@pytest.mark.parametrize("of", [7, dict, Policy, Policy(), Picky, Broken, Mine().score])
def test_what_is_no_policy_is_refused(of):
    with pytest.raises(LoadError):
        make("m:X", of)


def test_what_a_policy_says_when_it_is_made_is_told():
    with pytest.raises(LoadError, match="RuntimeError: no database"):
        make("m:Broken", Broken)


class Seat:
    def __init__(self):
        self.left = False

    def take(self, _timeout):
        return None

    def leave(self):
        self.left = True


def test_what_stays_goes_on_and_what_goes_leaves_its_seat():
    seats = {}

    def sit_down(pool, picks):
        assert not picks
        seats.setdefault(pool, []).append(Seat())
        return seats[pool][-1]

    policies = Policies(sit_down)
    one, two = make("m:Mine", Mine), make("m:Mine", Mine)
    policies.use({"app": one, "other": two})
    policies.use({"app": one})
    assert policies.made("app") is one
    assert policies.made("other") is None
    assert len(seats["app"]) == 1
    assert [seat.left for seat in seats["other"]] == [True]

    policies.use({"app": two})
    assert len(seats["app"]) == 2

    policies.stop()
    assert seats["app"][-1].left


def test_what_is_left_at_the_end_is_told_and_waited_for():
    seats = []

    def sit_down(_pool, _picks):
        seats.append(Seat())
        return seats[-1]

    policies = Policies(sit_down)
    policies.use({"app": make("m:Mine", Mine)})
    thread = policies._running["app"][1]._thread
    del policies
    gc.collect()
    assert seats[0].left
    assert not thread.is_alive()
