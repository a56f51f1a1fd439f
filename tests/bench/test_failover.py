"""What the failover bench runs, and that it says of every lost request why it couldn't be saved."""

from __future__ import annotations

import json

import pytest

from harness.benches import bench
from harness.sources import text

failover = bench("failover/failover")
report = failover.report
FAULTS, Limit = report.FAULTS, report.Limit

RUN = {
    "requests": 1600, "failed": 0, "slow": 0, "slow_noise": 0, "failed_noise": 0,
    "executed_twice": 0, "failed_but_executed": 0, "failed_but_well": 0, "whys": {}, "trouble_s": 0, "back_s": 0,
}  # fmt: skip


def cell(fault: str, shape: str = "plain", peer: str = "fairlead", *runs: dict) -> dict:
    return {
        "peer": peer, "config": "default", "fault": fault, "shape": shape,
        "runs": [RUN | run for run in runs or ({},)],
    }  # fmt: skip


def chosen(monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[tuple, int]:
    """How often each load is measured over http and over tcp, of fairlead's own."""
    # A balancer need not be built, nor any rival be there, to say what would be run.
    monkeypatch.setattr(
        failover.rivals, "command", lambda peer, *_: [peer] if "fairlead" in peer else None
    )
    monkeypatch.setattr("sys.argv", ["failover.py", *words])
    found: dict[tuple, int] = {}
    for each in failover.cells(failover.arguments(), {}):
        key = (each.peer, each.shape.name, each.fault.name)
        found[key] = found.get(key, 0) + 1
    return found


def test_a_whole_run_goes_three_times_through_bodies_and_plain_load(monkeypatch) -> None:
    found = chosen(monkeypatch)

    for load in ("plain", "put", "delete", "post"):
        assert {count for (_, shape, _), count in found.items() if shape == load} == {3}


def test_over_tcp_loads_are_run_that_tcp_can_tell_apart(monkeypatch) -> None:
    found = chosen(monkeypatch)
    tcp = {(shape, fault) for peer, shape, fault in found if peer == "fairlead-tcp"}

    for load in ("rate20", "groups", "spare"):
        assert {fault for shape, fault in tcp if shape == load} == {
            "blackhole", "killed", "frozen", "flap", "none",
        }  # fmt: skip
    assert not {shape for shape, _ in tcp} & {"kept", "rate2000", "put", "delete", "post"}


def test_repetitions_can_be_chosen_for_all_other_loads(monkeypatch) -> None:
    found = chosen(monkeypatch, "--load-reps", "2", "--reps", "1")

    assert {count for (_, shape, _), count in found.items() if shape == "plain"} == {1}
    assert {count for (_, shape, _), count in found.items() if shape != "plain"} == {2}


@pytest.mark.parametrize("name", [name for name in FAULTS if name != report.CONTROL])
def test_what_may_be_lost_has_its_reason_beside_the_fault(name: str) -> None:
    fault = FAULTS[name]
    for limit, why in ((fault.http, fault.lost.http), (fault.tcp, fault.lost.tcp)):
        if limit is not None and limit.failed != 0:
            assert why.endswith(".")
    # POSTs are played under the eight, and what is under way can't be saved under any of them.
    assert bool(fault.lost.post) == fault.eight


def test_lost_requests_are_counted_and_explained() -> None:
    lost = {"failed": 4, "whys": {"0:body:closed": 4}, "failed_but_executed": 4}

    (line,) = report.losses([cell("cut_body", "plain", "fairlead", lost, lost)])

    assert line == (
        "- `cut_body`, http: plain 4 of 1,600 failed (8 × 0:body:closed; all executed, at B, "
        f"none twice). {FAULTS['cut_body'].lost.http}"
    )


def test_loads_of_one_fault_stand_together_and_posts_apart() -> None:
    lost = {"failed": 1, "whys": {"0:head:timeout": 1}}
    lines = report.losses([
        cell("frozen", "plain", "fairlead-tcp", lost), cell("frozen", "groups", "fairlead-tcp", lost),
        cell("frozen", "post", "fairlead", lost, {}),
    ])  # fmt: skip

    assert len(lines) == 2
    assert "plain 1 of 1,600" in lines[0]
    assert "groups 1 of 1,600" in lines[0]
    assert lines[0].endswith(FAULTS["frozen"].lost.tcp)
    assert lines[1].startswith("- `frozen`, POSTs: post 0 (0–1) of 1,600 failed (1 × 0:head")
    assert lines[1].endswith(FAULTS["frozen"].lost.post)


def test_a_loss_that_no_fault_explains_is_shown_as_such() -> None:
    (line,) = report.losses([cell("blackhole", "plain", "fairlead", {"failed": 1})])

    assert line.endswith(report.UNEXPECTED)


def test_more_than_is_promised_is_not_explained_away() -> None:
    lost = {"failed": 719, "whys": {"0:head:timeout": 719}}
    (line,) = report.losses([
        cell("frozen", "plain", "fairlead-tcp", lost | {"failed": 40}),
        cell("frozen", "groups", "fairlead-tcp", {}, lost),
    ])  # fmt: skip

    assert line.endswith(" **Under groups more were lost than is promised.**")


def test_slow_ones_are_told_where_nothing_bounds_them() -> None:
    slow = {"slow": 30}

    assert (
        report.losses(
            [cell("reboot", "plain", "fairlead", slow), cell("none", "put", "fairlead", slow)]
        )
        == []
    )
    (line,) = report.losses([cell("reboot", "plain", "fairlead-tcp", slow)])
    assert "0 of 1,600 failed, 30 were slow. Slow, not failed:" in line


def test_what_rivals_lose_is_not_explained_away() -> None:
    assert report.losses([cell("cut_body", "plain", "haproxy", {"failed": 400})]) == []


def test_the_published_page_is_what_the_numbers_say() -> None:
    data = json.loads(text("bench/results/failover.json"))

    assert report.text(data) == text("bench/results/failover.md")
    assert report.summary(data) in text("README.md")
