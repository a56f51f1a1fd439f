"""Mutated messages through a whole fairlead: `make conformance` plays 50,000."""

from __future__ import annotations

import asyncio

import pytest

from conformance import black_box
from conformance.mutator import mutated


@pytest.mark.parametrize(
    "count", [1_000, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(300)])]
)
def test_mutated_messages_are_read_in_one_way_only(count: int) -> None:
    report = asyncio.run(black_box.run("test", count))

    assert report.played == count
    assert report.passed_on > count // 10, "too few are good enough to mean something"
    assert not report.findings, "\n".join(report.findings[:20])


def test_equal_seeds_make_equal_inputs() -> None:
    messages = [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"hello"]

    inputs = [mutated("a", number, messages) for number in range(200)]

    assert inputs == [mutated("a", number, messages) for number in range(200)]
    assert len(set(inputs)) > 100
