"""Numbers and lists that a page has from somewhere else are the ones that stand there."""

from __future__ import annotations

import json
import re
import statistics

import pytest

from fairlead.event import _WORDS
from harness.sources import text

COUNTS = json.loads(text("bench/perf/counts.json"))["per_request"]
BUDGET, RESULTS, API = "docs/design/007-budget.md", "docs/results.md", "docs/reference/api.md"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (BUDGET, r"^\| all \| ([\d,]+) \|"),
        (RESULTS, r"on kept connections takes ([\d,]+) instructions"),
    ],
)
def test_what_a_request_costs_is_what_was_counted(page: str, words: str) -> None:
    told = re.search(words, text(page), re.MULTILINE)
    assert told is not None
    assert told[1] == f"{COUNTS['http_kept']['instructions']:,.0f}"


def test_what_two_workers_cost_is_one_number_in_all_places() -> None:
    """Of the numbers in the run's own file, the page of it, the README and the page of results."""
    samples = json.loads(text("bench/results/cost.json"))["results"]["two_workers"]["fairlead"]
    ratio, opened = (
        statistics.median(each[key] for each in samples) for key in ("ratio", "opened_two")
    )
    rows = (
        rf"\| two workers: CPU per request, times one worker's \| {ratio:.2f} × ",
        rf"\| two workers: backend connections per 1,000 requests \| {opened:.2f} opened ",
    )

    for page in ("README.md", "bench/results/cost.md"):
        assert all(len(re.findall(row, text(page))) == 1 for row in rows), page
    _, _, section = text(RESULTS).partition("## Two workers\n")
    section, _, _ = section.partition("\n## ")
    assert re.findall(r"([\d.]+) times the processor time", section) == [f"{ratio:.2f}"]
    assert re.findall(r"([\d.]+) connections to backends opened", section) == [f"{opened:.2f}"]


def test_the_parts_of_what_a_request_costs_are_all_of_it() -> None:
    rows = re.findall(
        r"^\| [^|]+ \| ([\d,]+) \| ([\d,]+) \| [\d%]* ?\|$", text(BUDGET), re.MULTILINE
    )
    for column in zip(*rows, strict=True):
        *parts, whole = [int(number.replace(",", "")) for number in column]
        # Each of them is rounded.
        assert abs(sum(parts) - whole) <= len(parts) / 2


def instructions(work: str) -> float:
    return COUNTS[work]["instructions"]


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (r"\(`http_plain`\) takes ([\d,]+) instructions", instructions("http_plain")),
        (r"instructions, ([\d,]+) less", instructions("http_kept") - instructions("http_plain")),
        (r"Of one it takes ([\d,]+) inst", instructions("routes_1") - instructions("http_kept")),
        (r"each\) ([\d,]+):", instructions("routes_10000") - instructions("http_kept")),
    ],
)
def test_what_parts_of_it_cost_is_what_was_counted(words: str, number: float) -> None:
    told = re.search(words, text(BUDGET))
    assert told is not None
    assert told[1] == f"{number:,.0f}"


def test_what_a_pick_costs_is_what_was_counted() -> None:
    told = dict(re.findall(r"`([\w-]+)` (\d+)[,;: ]", text(BUDGET).partition("Counted, of")[2]))
    picks = {work: each for work, each in COUNTS.items() if work.startswith("pick_1000_")}
    assert told == {
        work.removeprefix("pick_1000_").replace("_", "-"): f"{each['instructions']:.0f}"
        for work, each in picks.items()
    }


def test_system_calls_of_a_kept_request_are_what_was_counted() -> None:
    told = re.search(r"after the other\): ([\d.]+) rec\w+, ([\d.]+) se.*, ([\d.]+) w", text(BUDGET))
    assert told is not None
    kept = COUNTS["http_kept"]
    assert [float(number) for number in told.groups()] == [
        kept[what] for what in ("receives", "sends", "waits")
    ]


@pytest.mark.parametrize(
    ("row", "work"),
    [
        ("kept connections, saturated, 100 B", "http_keepalive_100"),
        ("the same, 1 KiB", "http_keepalive_1k"),
        ("at 8,000/s, 100 B", "http_keepalive_100_rate"),
        ("the same, 1 KiB at 8,000/s", "http_keepalive_1k_rate"),
    ],
)
def test_user_time_of_a_request_is_what_was_measured(row: str, work: str) -> None:
    told = re.search(
        rf"^\| {row} \| ([\d.]+) \(([\d.]+) to ([\d.]+)\) \|", text(BUDGET), re.MULTILINE
    )
    assert told is not None
    rounds = json.loads(text("bench/results/cost.json"))["results"][work]["fairlead"]
    times = [each["cost"] * each["user_share"] for each in rounds]
    assert list(told.groups()) == [
        f"{time:.1f}" for time in (statistics.median(times), min(times), max(times))
    ]


def test_each_kind_of_event_has_its_row() -> None:
    _, _, table = text(API).partition("| `event` | Fields | Meaning |")
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {
        kind.removesuffix(" no more") for kind in _WORDS
    }
