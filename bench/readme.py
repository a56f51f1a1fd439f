"""What a run writes into the README: the part between two marks, and nothing else."""
from __future__ import annotations


def written(page: str, marks: tuple[str, str], inside: str, before: str) -> str:
    """The page with what stands between the marks written anew.

    Where there is no mark yet, both come before the heading `before`. A page with one of the two,
    or with several, has been edited by hand: nobody knows what belongs to whom, so it is left alone.
    """
    first, last = marks
    part = f"{first}{inside}{last}\n"
    counts = page.count(first), page.count(last)
    if counts == (0, 0):
        above, heading, below = page.partition(before)
        if not heading:
            raise ValueError(f"neither `{first}` nor `{before.strip()}` is in the page")
        return f"{above}{part}\n{heading}{below}"
    above, _, rest = page.partition(first)
    _, found, below = rest.partition(f"{last}\n")
    if counts != (1, 1) or not found:
        raise ValueError(f"`{first}` and after it `{last}` have to be in the page once each")
    return f"{above}{part}{below}"
