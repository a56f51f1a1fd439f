"""A bound on the page of limits that nothing keeps to is none."""

from __future__ import annotations

import re

import pytest

from harness.sources import files, name, text

PLACE = "crates/fairlead-model/src/limits.rs"
CONSTANTS = re.findall(r"^pub const (\w+):", text(PLACE), re.MULTILINE)


def used(source: str) -> set[str]:
    """What a source takes of that file, in its code: a comment keeps to nothing.

    What tests of private things stand at a source's end.
    """
    code = re.sub(r"//.*", "", source.partition("#[cfg(test)]\nmod tests")[0])
    lists = re.findall(r"\blimits::\{([^}]*)\}", code)
    return {*re.findall(r"\blimits::(\w+)", code), *re.findall(r"\w+", " ".join(lists))}


USED = {
    constant
    for path in files(".rs")
    if name(path).startswith("crates/") and "/src/" in name(path) and path.stem != "tests"
    for constant in used(text(path))
}


def test_the_file_is_read() -> None:
    assert len(CONSTANTS) > 20


def test_what_only_mentions_a_bound_does_not_keep_to_it() -> None:
    source = """
        use fairlead_model::limits::{self, HEAD,
            CHUNKS};
        // limits::BODY
        const LINES: usize = limits::FIELDS;
        #[cfg(test)]
        mod tests { fn room() { limits::ROOM } }
    """.replace("        ", "")
    assert used(source) == {"self", "HEAD", "CHUNKS", "FIELDS"}


@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_bound_is_kept_by_the_engine(constant: str) -> None:
    assert constant in USED, f"only {PLACE} knows it"
