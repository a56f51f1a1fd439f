"""The record of fuzzing goes on over a history that was written anew."""

from __future__ import annotations

import importlib.util

from harness.sources import ROOT

SPEC = importlib.util.spec_from_file_location("fuzz_record", ROOT / "tools/fuzz_record.py")
record = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(record)

FILLED = "| {} | `request_head` | a tab | 6ac5a26 |"


def test_what_was_found_keeps_its_row_when_its_version_has_moved(monkeypatch) -> None:
    monkeypatch.setattr(record, "in_history", {"aaa": "bbb", "ccc": "ccc"}.__getitem__)
    text = f"{record.FOUND}\n|---|---|---|---|\n{FILLED.format('aaa')}\n{FILLED.format('ccc')}\n"
    run = record.Run("2026-11-21", "bbb", "request_head", "none", 1, 1, 1)

    rows = record.findings(text, [run, run._replace(version="ccc", findings=2)])

    new = "| ccc | `request_head` | not looked into yet | |"
    assert rows == [FILLED.format("bbb"), FILLED.format("ccc"), new]
