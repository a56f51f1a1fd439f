"""Words for people that more than one part of the package says."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A number of things in words.

    >>> counted(1, "error"), counted(1_200, "request")
    ('1 error', '1,200 requests')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
