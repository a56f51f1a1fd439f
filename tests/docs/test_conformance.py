"""The page of conformance names tests that exist, and all rows of the corpus."""

from __future__ import annotations

import re

import pytest

from conformance import requests, responses
from harness.sources import text

PAGE = text("docs/conformance.md")
ROWS = {
    "requests": {rule.name for rule in requests.RULES},
    "responses": {rule.name for rule in responses.RULES},
}
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "–"}


def _named(kind: str) -> set[str]:
    return set(re.findall(rf"`{kind}: ([a-z0-9-]+)`", PAGE))


@pytest.mark.parametrize("kind", ["requests", "responses"])
def test_the_page_names_the_rows_of_the_corpus(kind: str) -> None:
    assert _named(kind) - ROWS[kind] == set(), "there are no such rows"
    assert ROWS[kind] - _named(kind) == set(), "the page doesn't say what they show"


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)

    assert len(named) > 30
    missing = [f"{path}::{name}" for path, name in named if f"\ndef {name}(" not in text(path)]
    assert missing == []


def test_every_requirement_has_a_section_a_level_and_a_test() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| 91")]

    assert len(rows) > 60
    for row in rows:
        assert len(row) == 5, row
        assert re.fullmatch(r"\| 911[02] §[\d.]+( \(\d\))?(, 911[02] §[\d.]+)?", row[0]), row[0]
        assert row[1] in LEVELS, row[1]
        assert "`" in row[4], row
