"""What `make bench` takes, whole and short, before it is measured."""

from __future__ import annotations

import pytest

from harness.benches import bench as script

bench = script("bench")
peers = bench.peerlib


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    """A run as these words ask for it, with everybody in it, and nothing measured."""
    monkeypatch.setattr("sys.argv", ["bench.py", *words])
    # Who is installed doesn't matter here.
    monkeypatch.setattr(
        bench.peerlib, "versions_of", lambda chosen: {peer.name: "1" for peer in chosen}
    )
    opt = bench.options()
    opt.absent = {}
    return bench.Run(opt, [peers.ALL[name] for name in peers.STANDARD])


def test_the_standard_run_has_five_rounds_of_everything(monkeypatch) -> None:
    whole = run(monkeypatch, "--standard")
    rounds = whole.rounds

    assert set(rounds.wanted.values()) == {5}
    assert {goal.scenario for goal in bench.report.GOALS} == set(rounds.wanted)
    assert (rounds.more, rounds.limit) == (3, None)


def test_each_goal_has_all_who_matter_to_it(monkeypatch) -> None:
    units = run(monkeypatch, "--standard").rounds.units

    def who(work: str) -> set[str]:
        return {unit.peer for unit in units if work in unit.works}

    assert who("http_keepalive_100_rate") == {"fairlead", "haproxy", "nginx", "floor"}
    assert who("tcp_newconn") == {"fairlead", "haproxy", "nginx", "pen", "floor"}
    assert {"haproxy-splice", "floor-splice"} < who("tcp_bulk_1")
    assert who("many_services") == {"fairlead", "haproxy", "nginx"}
    assert who("two_workers") == {"fairlead"}


def test_the_short_run_keeps_under_five_minutes(monkeypatch) -> None:
    rounds = run(monkeypatch, "--short").rounds

    assert rounds.limit < 5 * 60
    assert rounds.more == 0
    # What it takes on a machine that does nothing else, by its own guess.
    assert sum(rounds.guess(unit) for unit in rounds.units) < rounds.limit
    # Numbers that are no rival's multiples are fairlead's alone there.
    assert {unit.peer for unit in rounds.units if unit.kind in bench.special.SPECIAL} == {
        "fairlead"
    }


@pytest.mark.parametrize("words", [("--minutes", "2"), ("--short", "--minutes", "2")])
def test_a_run_can_be_bounded(monkeypatch, words) -> None:
    assert run(monkeypatch, *words).rounds.limit == 120


def test_rivals_are_set_up_only_when_asked(monkeypatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(bench, "gather", lambda _, allowed: asked.append(allowed) or {})
    for words in (
        ["--standard"],
        ["--standard", "--setup"],
        ["--standard", "--setup", "--no-setup"],
    ):
        monkeypatch.setattr("sys.argv", ["bench.py", *words])
        bench.chosen_peers(bench.options())

    assert asked == [False, True, False]


def test_a_congestion_control_that_the_kernel_refuses_is_said_with_what_there_is(
    monkeypatch, tmp_path
) -> None:
    place = script("place")
    refuses = tmp_path / "tcp_congestion_control"
    refuses.mkdir()
    (tmp_path / "tcp_allowed_congestion_control").write_text("reno bbr\n")
    monkeypatch.setattr(place, "CONGESTION", refuses)

    with pytest.raises(SystemExit, match=r"--congestion cubic: .* it allows reno and bbr here"):
        place.set_congestion("cubic")
