"""Changelog fragments: one per change, in users' words (CONTRIBUTING.md)."""

from __future__ import annotations

import re

import pytest

from harness.sources import files, name, text

FRAGMENTS = [
    name(path)
    for path in files(".md")
    if name(path).startswith("changes/") and path.stem != "README"
]


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_is_named_after_its_number_and_kind(fragment: str) -> None:
    assert re.fullmatch(r"changes/\d{3,4}\.(added|changed|fixed|security)\.md", fragment)


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_is_made_of_sentences(fragment: str) -> None:
    content = text(fragment)

    assert re.match(r"[A-Z`]", content)
    assert content.endswith(".\n")


def test_numbers_are_given_once() -> None:
    numbers = [fragment.split("/")[1].split(".")[0] for fragment in FRAGMENTS]

    assert len(numbers) == len(set(numbers))
