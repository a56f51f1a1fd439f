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
    *parts, whole = [
        int(number.replace(",", ""))
        for number in re.findall(
            r"^\| [\w ,]+ \| ([\d,]+) \| [\d%]* ?\|$", text(BUDGET), re.MULTILINE
        )
    ]
    # Each of them is rounded, and what is less than one has no row.
    assert abs(sum(parts) - whole) <= len(parts) / 2


def test_each_kind_of_event_has_its_row() -> None:
    _, _, table = text(API).partition("| `event` | Fields | Meaning |")
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {
        kind.removesuffix(" no more") for kind in _WORDS
    }
