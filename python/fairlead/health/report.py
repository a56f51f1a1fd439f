"""From what a check in Python found to evidence in the engine.

The engine's tracker is the only place where health changes; a check says what it saw and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

REASON_CHARACTERS_MAX = 200
"""So much of what a check printed is told."""

Report = Callable[[str, str, bool, str], None]
"""Hands a result to the engine: pool, backend, passed, what was seen."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a check found.

    Attributes:
        passed: Good or bad.
        what: What was seen, for people: ``exit status 2: connection refused``.
    """

    passed: bool
    what: str


def report_to(engine_report: Report, pool: str, backend: str, result: Result) -> None:
    """Hand over a result. A backend that a reload took away meanwhile has no use for it."""
    try:
        engine_report(pool, backend, result.passed, result.what)
    except KeyError:
        return


def first_line(output: bytes) -> str:
    r"""The first line with something in it, fit for a log.

    >>> first_line(b"\n  \x1b[31mno route\x1b[0m to host\nmore\n")
    '[31mno route[0m to host'
    """
    for line in output.decode("utf-8", "replace").splitlines():
        plain = "".join(character for character in line if character.isprintable()).strip()
        if plain:
            return plain[:REASON_CHARACTERS_MAX]
    return ""
