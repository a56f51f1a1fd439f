"""`make perf-check` fails for what it is there for, and never passes for want of counts."""

from __future__ import annotations

import importlib
import json

import pytest

from harness.sources import ROOT, text

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "tools"))
    check = importlib.import_module("perf_check")
    count = importlib.import_module("perf_count")

LAST = check.Found(**json.loads(text("bench/perf/counts.json")))
WORKS = [work for work, counts in LAST.per_request.items() if "instructions" in counts]
# Where no other bound comes first.
BY_SHARE = [work for work in WORKS if work != "routes_10000"]


def changed(work: str, what: str, number: float, compiler: str = LAST.compiler):
    """The accepted counts, but for one of them."""
    counts = {work: dict(each) for work, each in LAST.per_request.items()}
    counts.setdefault(work, {})[what] = number
    return check.Found(compiler, counts)


def grown(work: str, share: float, compiler: str = LAST.compiler):
    instructions = LAST.per_request[work]["instructions"]
    return changed(work, "instructions", instructions * share, compiler)


def test_the_accepted_counts_pass() -> None:
    assert check.judge(LAST, LAST, []) == []


@pytest.mark.parametrize("work", BY_SHARE)
def test_four_percent_more_instructions_pass_and_six_fail(work) -> None:
    assert check.judge(grown(work, 1.04), LAST, []) == []

    problems = check.judge(grown(work, 1.06), LAST, [])

    assert len(problems) == 1 and problems[0].startswith(f"{work}: instructions: ")


@pytest.mark.parametrize("work", BY_SHARE)
def test_another_compilers_code_is_judged_by_ten_percent(work) -> None:
    assert check.judge(grown(work, 1.06, "rustc 9.9.9"), LAST, []) == []
    assert len(check.judge(grown(work, 1.11, "rustc 9.9.9"), LAST, [])) == 1


def test_what_another_compiler_made_of_it_is_told(capsys) -> None:
    check._show(LAST._replace(compiler="rustc 9.9.9"), LAST)

    told = capsys.readouterr().out
    assert f"the counts are of {LAST.compiler}, this is rustc 9.9.9" in told
    assert "10% more, instead of 5%" in told


@pytest.mark.parametrize(
    ("what", "most"),
    [
        ("receives", 2.1),
        ("sends", 2.1),
        ("waits", 2.2),
        ("futexes_in_all", 5),
    ],
)
def test_a_kept_request_asks_the_kernel_for_no_more_than_it_must(what, most) -> None:
    counted = changed("http_kept", what, most + 0.01)
    # Whatever was accepted before.
    assert check.judge(counted, counted, []) == [
        f"http_kept: {what}: {most + 0.01}, expected {check.KEPT[what][0]} to {most}"
    ]


@pytest.mark.parametrize("what", ["receives", "sends", "waits"])
def test_calls_that_are_not_seen_are_no_calls_saved(what) -> None:
    assert len(check.judge(changed("http_kept", what, 0.0), LAST, [])) == 1


def test_an_allocation_more_fails() -> None:
    assert len(check.judge(changed("http_kept", "allocations", 0.1), LAST, [])) == 1


def test_a_route_of_ten_thousand_costs_what_one_costs() -> None:
    one = LAST.per_request["routes_1"]["instructions"]
    counted = changed("routes_10000", "instructions", one * 1.11)
    assert [problem.split(":")[0] for problem in check.judge(counted, counted, [])] == [
        "one of 10,000 routes costs more than a single one",
        "finding one of 10,000 routes",
    ]


def test_a_pick_has_a_bound_of_its_own() -> None:
    work = "pick_1000_first"
    counted = changed(work, "instructions", 2_001)
    assert check.judge(counted, counted, []) == [
        f"{work}: instructions: 2001, expected 2000 at most"
    ]
    assert {work for work in WORKS if work.startswith(check.PICK)} == {
        check.PICK + policy.replace("-", "_") for policy in count.POLICIES
    }


def test_what_is_not_counted_any_more_or_not_accepted_yet_fails() -> None:
    fewer = LAST._replace(
        per_request={work: each for work, each in LAST.per_request.items() if work != "tcp_new"}
    )
    assert check.judge(fewer, LAST, []) == [
        f"tcp_new: {what} were counted before, and aren't any more"
        for what in LAST.per_request["tcp_new"]
    ]
    assert check.judge(LAST, fewer, []) == [
        f"tcp_new: {what} have no count to compare with yet" for what in LAST.per_request["tcp_new"]
    ]
    assert check.judge(LAST, None, []) == [
        "there are no counts to compare with: bench/perf/counts.json"
    ]


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("1", 1), ("", 0), ("false", 0)])
def test_without_its_tools_it_fails_in_ci_and_says_elsewhere_what_it_leaves_out(
    ci, status, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(check.shutil, "which", lambda _tool: None)
    monkeypatch.setattr(check.sys, "argv", ["perf_check"])

    assert check.main() == status

    told = capsys.readouterr().err
    assert "left out: instructions, allocations: valgrind is not installed" in told
    assert "system_calls, futexes_in_all: strace is not installed" in told
    assert "hint: apt install valgrind strace" in told
    assert ("CI leaves nothing out" in told) == bool(status)


def test_what_is_not_counted_is_not_accepted(monkeypatch, capsys) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(check.shutil, "which", lambda _tool: None)
    monkeypatch.setattr(check.sys, "argv", ["perf_check", "--accept"])
    before = text("bench/perf/counts.json")

    assert check.main() == 1

    assert "can't be accepted" in capsys.readouterr().err
    assert text("bench/perf/counts.json") == before


TABLE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 54.01    0.060000          15       200           epoll_pwait2
 20.00    0.020000           5       201         1 recvfrom
 20.00    0.020000           5       200           sendto
  5.00    0.005000           5         2           read
  0.99    0.000010           1         3           futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.105010          12       606         1 total
"""


def test_system_calls_are_told_apart_by_what_they_are_for() -> None:
    assert count.by_kind(TABLE, 100) == {
        "receives": 2.01,
        "sends": 2.0,
        "waits": 2.0,
        "system_calls": 6.06,
        "futexes_in_all": 3,
    }
    with pytest.raises(SystemExit, match="strace counted nothing"):
        count.by_kind("strace: attach: Operation not permitted", 100)
