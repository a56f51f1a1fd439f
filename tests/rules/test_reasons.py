"""A reason without a page, a text and a test that provokes it is none."""

from __future__ import annotations

import re

import pytest

from harness.sources import files, name, text

ROW = re.compile(r'^    (\w+) = "(\w+)", (\d+), (\w+), (\w+), (\w+), "([^"]+)";', re.MULTILINE)
CODES = [match[2] for match in ROW.finditer(text("crates/fairlead-model/src/reason.rs"))]


def _tests() -> str:
    paths = [
        path
        for path in files(".rs", ".py")
        if ("tests" in path.parts or path.stem == "tests")
        and not name(path).startswith(("tests/rules/", "tests/unit/"))
    ]
    return "\n".join(text(path) for path in paths)


TESTS = _tests()


def test_the_table_is_read_whole() -> None:
    source = text("crates/fairlead-model/src/reason.rs")
    body = source.split("reasons! {\n")[1].split("\n}")[0]
    rows = [line for line in body.splitlines() if line.endswith(";")]

    assert len(rows) == len(CODES) > 20


@pytest.mark.parametrize("code", CODES)
def test_a_reason_is_documented(code: str) -> None:
    assert f"`{code}`" in text("docs/reference/reasons.md")


# Why no test can see these from outside.
UNSEEN = {
    "ok": "nothing went wrong",
    "internal": "it is a bug; the engine's own tests make one",
    "shutting_down": "it is counted when the process that would tell it ends",
}


@pytest.mark.parametrize("code", [code for code in CODES if code not in UNSEEN])
def test_a_reason_is_provoked_by_a_test(code: str) -> None:
    variant = "".join(word.title() for word in code.split("_"))

    assert re.search(rf"\b{code}\b|Reason::{variant}\b", TESTS), "no test provokes it"


def test_texts_are_lower_case_without_a_full_stop() -> None:
    texts = [match[7] for match in ROW.finditer(text("crates/fairlead-model/src/reason.rs"))]

    assert [each for each in texts if each[0].isupper() or each.endswith(".")] == []
