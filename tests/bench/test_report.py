"""What a run of the bench says of its goals: each that is missed has its own reason, of its own numbers."""

from __future__ import annotations

import json

import pytest

from harness.benches import bench
from harness.sources import text

report = bench("report")

RUN = {
    "cpus": 2, "cpu": "some", "kernel": "6.18", "date": "today", "reps": 5, "seconds": 3,
    "versions": {"fairlead": "1"},
}  # fmt: skip
README = "\n".join([*report.MARKS, report.BEFORE])
ABSOLUTE = ("idle_http", "many_services", "two_workers")


def sample(cost: float, rep: int = 0) -> dict:
    """One that has every number which a goal may ask for."""
    return {
        **dict.fromkeys(("cost", "p50_us", "p99_us", "idle_cpu_percent", "ratio"), cost),
        **dict.fromkeys(("opened_two", "opened_one", "cost_one", "rss_mib"), cost),
        "user_share": 0.25, "rss_before_mib": 20.0, "services": 1000, "processes": 1,
        "start_s": 1.0, "rep": rep, "run": "one", "other_on_lb_core": 0.0,
    }  # fmt: skip


def run(mine: float, rival: float, floor: float) -> dict:
    """All kinds of work, with five rounds of each balancer."""
    costs = {
        "fairlead": mine, "nginx": rival, "haproxy": rival, "pen": rival,
        "floor": floor, "floor-splice": floor,
    }  # fmt: skip
    return {
        goal.scenario: {
            peer: [sample(cost, rep) for rep in range(5)] for peer, cost in costs.items()
        }
        for goal in report.GOALS
    }


LIMITS = [(goal, limit) for goal in report.GOALS for limit in goal.limits]


def test_every_missed_goal_has_a_reason_of_its_own() -> None:
    results = run(mine=1000, rival=100, floor=50)
    verdicts, missed = report.verdicts(results), report.lost(results)

    assert len(verdicts) == len(missed) == len(LIMITS)
    for verdict, line in zip(verdicts, missed, strict=True):
        assert line.startswith(f"- {verdict.goal.work}: ")
        reason = verdict.goal.why(verdict.row)
        assert reason.endswith(".")
        assert f". {reason}" in line


def test_a_goal_above_the_floor_says_what_is_left_above_it() -> None:
    (line,) = [each for each in report.lost(run(95, 100, 70)) if "saturated, 100 B" in each]

    assert (
        "Of the 75.0 µs/request that the goal comes to, `floor` takes 70.0: 5.00 are left" in line
    )
    assert "fairlead takes 25.0." in line
    assert "the kernel has 75 %, its own code 23.8" in line


def test_each_limit_of_a_goal_is_beside_the_floor_by_itself() -> None:
    by_limit = [each for each in report.lost(run(95, 100, 70)) if "8,000/s, 1 KiB" in each]

    assert ["15.0 are left" in by_limit[0], "10.0 are left" in by_limit[1]] == [True, True]


def test_a_goal_below_the_floor_is_said_to_be_out_of_reach() -> None:
    (line,) = [each for each in report.lost(run(95, 100, 80)) if "saturated, 100 B" in each]

    assert "The goal comes to 75.0 µs/request, and `floor` takes 80.0: no balancer" in line


def test_a_run_without_the_floor_claims_nothing_of_it() -> None:
    results = run(95, 100, 80)
    for by_peer in results.values():
        del by_peer["floor"], by_peer["floor-splice"]

    assert all("was not measured" in each for each in report.lost(results) if "http, kept" in each)


def test_a_missed_goal_says_in_how_many_rounds_it_was_kept() -> None:
    results = run(95, 100, 70)
    results["tcp_small"]["fairlead"] = [
        sample(cost, rep) for rep, cost in enumerate((90, 99, 101, 102, 103))
    ]
    (line,) = [each for each in report.lost(results) if "tcp, small messages, saturated" in each]

    assert line.endswith("In 2 of 5 rounds the goal was kept.")


@pytest.mark.parametrize("by", ["other_on_lb_core", "steal"])
def test_disturbed_samples_are_neither_in_a_median_nor_in_its_count(by: str) -> None:
    results = run(60, 100, 50)
    results["tcp_small"]["fairlead"][0] = {**sample(900, 0), by: 0.11}
    (row,) = [each for each in report.promises(results) if "tcp, small messages, sat" in each]

    assert row.split(" | ")[1:5] == ["60.0 µs/request", "nginx 100", "0.60 (0.60–0.60)", "4"]
    assert "| fairlead | 60 | 60–60 | 0.60 | 0.25 | – | 0.06 | 0.06 | – | – | – | 4 |" in (
        report.table({"tcp_small": results["tcp_small"]}, {"tcp_small": "us/req"})
    )


@pytest.mark.parametrize("name", ABSOLUTE)
def test_what_has_no_load_has_ends_and_a_count_too(name: str) -> None:
    results = run(1, 2, 1)
    results[name]["fairlead"][4] = {**sample(3, 4), "kib_per_connection": 3}
    rows = [
        each for each in report.promises(results)
        if any(goal.work in each for goal in report.GOALS if goal.scenario == name)
    ]  # fmt: skip

    assert rows
    assert all("(1.00–3.00)" in row and " | 5 | " in row for row in rows)


@pytest.mark.parametrize("page", ["README.md", "bench/results/cost.md"])
def test_the_published_pages_are_what_the_numbers_say(page: str) -> None:
    results = json.loads(text("bench/results/cost.json"))["results"]

    assert "\n".join(report.promises(results)) in text(page)
    assert report.losses(results) in text(page)


@pytest.mark.parametrize("way", ["bbr", "cubic"])
def test_the_page_says_how_tcp_finds_its_speed(way: str) -> None:
    data = {"runs": [RUN | {"congestion": way}], "results": {}}

    assert f"Linux 6.18, TCP by {way}. fairlead: 1" in report.page(data, {})
    assert ("(BBR, which paces" in report.published(README, data, "cost")) == (way == "bbr")


def test_a_run_that_did_not_say_how_is_not_spoken_for() -> None:
    data = {"runs": [RUN], "results": {}}

    assert "Linux 6.18. fairlead: 1" in report.page(data, {})
    assert "BBR" not in report.published(README, data, "cost")
