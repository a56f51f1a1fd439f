"""Numbers and lists that a page has from somewhere else are the ones that stand there."""

from __future__ import annotations

import json
import re

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
