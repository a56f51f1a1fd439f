"""A bound on the page of limits that nothing keeps to is none."""

from __future__ import annotations

import re

import pytest

from harness.sources import files, name, text

PLACE = "crates/fairlead-model/src/limits.rs"
CONSTANTS = re.findall(r"^pub const (\w+):", text(PLACE), re.MULTILINE)
ENGINE = "\n".join(
    text(path)
    for path in files(".rs")
    if name(path).startswith("crates/") and "/src/" in name(path) and name(path) != PLACE
)


def test_the_file_is_read() -> None:
    assert len(CONSTANTS) > 20


@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_bound_is_kept_by_the_engine(constant: str) -> None:
    assert re.search(rf"\b{constant}\b", ENGINE), f"only {PLACE} knows it"
