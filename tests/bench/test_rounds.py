"""Which samples a run of the bench takes again, and what it leaves out for want of time."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from harness.benches import bench

rounds = bench("rounds")
Unit = rounds.Unit
PEERS = ("fairlead", "nginx", "pen", "floor")


class Machine:
    """Takes samples in virtual time; `disturbed(work, peer, rep)` says which are."""

    def __init__(
        self, disturbed: Callable[..., bool] = lambda *_: False, each: float = 1.0
    ) -> None:
        self.disturbed, self.each = disturbed, each
        self.now = 100.0
        self.results: dict[str, dict[str, list[dict]]] = {}
        self.taken: list[tuple[str, str, int]] = []
        self.said: list[str] = []

    def measure(self, unit: SimpleNamespace, rep: int) -> None:
        for work in unit.works:
            self.now += self.each
            self.taken.append((work, unit.peer, rep))
            sample = {"rep": rep, "run": "x", "cost": 1.0}
            sample["other_on_lb_core"] = 0.5 if self.disturbed(work, unit.peer, rep) else 0.0
            self.results.setdefault(work, {}).setdefault(unit.peer, []).append(sample)

    def run(self, units: list, wanted: dict[str, int], **more: object) -> SimpleNamespace:
        run = rounds.Rounds(
            units, wanted, self.results, self.measure, say=self.said.append,
            clock=lambda: self.now, **more,
        )  # fmt: skip
        run.run()
        return run


UNITS = [Unit("tcp", peer, ("small", "bulk")) for peer in PEERS]


def test_a_calm_run_takes_its_rounds_and_nothing_again() -> None:
    machine = Machine()
    run = machine.run(UNITS, {"small": 5, "bulk": 5}, more=3)

    assert len(machine.taken) == 5 * 4 * 2
    assert (run.done, machine.said, run.left_out) == (5, [], [])


def test_a_rival_that_was_disturbed_is_measured_again_beside_fairlead() -> None:
    machine = Machine(lambda work, peer, rep: (work, peer, rep) == ("small", "nginx", 2))
    machine.run(UNITS, {"small": 5, "bulk": 5}, more=3)

    assert [taken for taken in machine.taken if taken[2] >= 5] == [
        ("small", "fairlead", 5),
        ("small", "nginx", 5),
    ]
    assert machine.said == [
        "further round 1 of at most 3, for what was disturbed or failed: small (nginx)"
    ]


def test_where_fairlead_was_disturbed_its_rivals_are_measured_again_and_the_floor_is_not() -> None:
    machine = Machine(lambda work, peer, rep: (work, peer, rep) == ("small", "fairlead", 0))
    machine.run(UNITS, {"small": 5, "bulk": 5}, more=3)

    assert {peer for _, peer, rep in machine.taken if rep == 5} == {"fairlead", "nginx", "pen"}


def test_a_disturbed_floor_is_measured_again_alone() -> None:
    machine = Machine(lambda work, peer, rep: (work, peer, rep) == ("bulk", "floor", 4))
    machine.run(UNITS, {"small": 5, "bulk": 5}, more=3)

    assert [taken for taken in machine.taken if taken[2] >= 5] == [("bulk", "floor", 5)]


def test_further_rounds_are_bounded_and_what_is_missing_then_is_told() -> None:
    machine = Machine(lambda work, peer, rep: (work, peer) == ("small", "nginx") and rep > 0)
    machine.run(UNITS, {"small": 5, "bulk": 5}, more=2)

    assert max(rep for *_, rep in machine.taken) == 6
    assert machine.said[-1] == "small: undisturbed rounds missing: 4 of 5 of nginx's"


def test_one_that_failed_is_measured_again() -> None:
    class Failing(Machine):
        def measure(self, unit: SimpleNamespace, rep: int) -> None:
            if (unit.peer, rep) != ("pen", 1):
                super().measure(unit, rep)

    machine = Failing()
    machine.run(UNITS, {"small": 5, "bulk": 5}, more=1)

    assert len(machine.results["small"]["pen"]) == 5


def test_work_with_fewer_rounds_has_fewer() -> None:
    machine = Machine()
    machine.run([*UNITS, Unit("idle", "nginx", ("idle",))], {"small": 5, "bulk": 5, "idle": 2})

    assert [rep for work, _, rep in machine.taken if work == "idle"] == [0, 1]


def test_no_round_begins_that_would_not_end_in_time() -> None:
    machine = Machine(each=10)  # a round takes 80 s
    run = machine.run(UNITS, {"small": 5, "bulk": 5}, limit=290, more=3)

    assert (run.done, machine.now - 100) == (3, 240)
    assert run.left_out == ["3 of 5 rounds: one more would not end within 4.8 minutes"]
    assert machine.said[0] == run.left_out[0]


def test_of_the_first_round_what_does_not_fit_is_left_out() -> None:
    machine = Machine(each=10)
    run = machine.run(
        UNITS, {"small": 2, "bulk": 2}, limit=50, guess=lambda unit: 10 * len(unit.works)
    )

    assert machine.now - 100 == 40
    assert [text.partition(" left out")[0] for text in run.left_out[:2]] == [
        "pen (small, bulk)",
        "floor (small, bulk)",
    ]


def test_time_that_went_by_before_counts() -> None:
    machine = Machine(each=10)
    run = machine.run(UNITS, {"small": 5, "bulk": 5}, limit=290, began=0.0)

    assert run.done == 2


def test_a_further_round_is_left_out_where_there_is_no_time_for_it() -> None:
    machine = Machine(lambda _, peer, rep: (peer, rep) == ("nginx", 0), each=10)
    machine.run(UNITS, {"small": 1, "bulk": 1}, limit=100, more=3)

    assert len(machine.taken) == 8
    assert machine.said[0] == "no time to measure again within 1.7 minutes"
