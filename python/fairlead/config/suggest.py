"""The nearest known name: what somebody probably meant.

Decides how near is near enough. Standard library's ``difflib`` compares well-matching runs, which
puts ``bakcends`` far from ``backends``; typing errors are counted here one by one instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name with the fewest typing errors, if there are few enough of them.

    One error in a word of up to four letters, two up to eight, three beyond. Upper and lower case
    and ``-`` and ``_`` count as the same. A name that only begins like exactly one known name is
    taken for its abbreviation.

    >>> nearest("bakcends", ["backends", "bind"])
    'backends'
    >>> nearest("least-conn", ["least-connections", "first"])
    'least-connections'
    >>> nearest("timeouts", ["bind", "pool"]) is None
    True
    """
    wanted = _plain(name)
    if not wanted or len(wanted) > 100:
        return None
    most = 1 if len(wanted) <= 4 else 2 if len(wanted) <= 8 else 3
    best, least = None, most + 1
    begins = []
    for candidate in known:
        plain = _plain(candidate)
        if len(wanted) >= 3 and plain.startswith(wanted):
            begins.append(candidate)
        if abs(len(plain) - len(wanted)) < least:
            errors = _typing_errors(wanted, plain, least - 1)
            if errors < least:
                best, least = candidate, errors
    if best is None and len(begins) == 1:
        return begins[0]
    return best


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _typing_errors(one: str, other: str, most: int) -> int:
    """Letters left out, put in, changed or swapped; anything above ``most`` if there are more.

    What both begin and end with can't hold an error, so it is cut off first: in a file of a
    thousand similar names nearly nothing is left to compare.
    """
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    if not one or not other:
        return max(len(one), len(other))
    # Rows of the table of errors between all beginnings of the two; two rows back for swaps.
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        row = [i]
        for j, right in enumerate(other, 1):
            errors = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                errors = min(errors, before[j - 2] + 1)
            row.append(errors)
        if min(row) > most:
            return most + 1
        before, above = above, row
    return above[-1]
