"""The script of the demo: what is done to which backend, and when. Data, no doing.

One round takes 25 s and shows each way to fail once, then a drain, then all four at once. In the
next round the parts are dealt anew. Somebody of the pool or its reserve can always answer; that
is the promise that is being shown, so the script must not break it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKENDS = ("ash", "birch", "cedar", "elm")
"""The four that take traffic."""

RESERVE = "oak"
"""The one in group 1: it takes traffic only while nobody of the four is available."""

ROUND_SECONDS = 25.0

CALM_SECONDS = 1.5
"""At the end of a demo of limited length nothing is wrong for so long: time to come back."""

SLOW_SECONDS = 0.25
"""How late a slow backend answers: long for a client, short enough to pass its check."""

Deed = Literal["slow", "freeze", "kill", "swallow", "break_off", "drain"]

_TEXTS: dict[Deed, str] = {
    "slow": f"answers {SLOW_SECONDS * 1000:.0f} ms late",
    "freeze": "frozen (SIGSTOP)",
    "kill": "killed (SIGKILL), refuses connects",
    "swallow": "its host is gone: connects are not even answered",
    "break_off": "breaks off in the middle of each answer's head",
    "drain": "drained by its operator",
}


@dataclass(frozen=True, slots=True)
class Act:
    """One thing done to some backends for a while.

    Attributes:
        begins: When, in seconds from the start of the demo.
        ends: When it is undone.
        backends: To whom.
        deed: What.
    """

    begins: float
    ends: float
    backends: tuple[str, ...]
    deed: Deed

    @property
    def text(self) -> str:
        """What is done, for people, without to whom."""
        return _TEXTS[self.deed]


def acts(seconds: float | None) -> Iterator[Act]:
    """The acts in the order of their beginnings.

    Args:
        seconds: How long the demo is; acts that would not end in time are left out. ``None`` is
            for ever, and so are the acts then.

    >>> [(act.deed, act.backends) for act in acts(9)]
    [('slow', ('ash',)), ('freeze', ('birch',))]
    >>> len(list(acts(15)))
    5
    """
    turn = 0
    while seconds is None or turn * ROUND_SECONDS < seconds:
        for act in _round(turn):
            if seconds is None or act.ends <= seconds - CALM_SECONDS:
                yield act
        turn += 1


def _round(turn: int) -> list[Act]:
    """One round; `turn` says where it begins and who has which part."""
    start = turn * ROUND_SECONDS
    one, two, three, four = (BACKENDS[(index + turn) % 4] for index in range(4))
    return [
        Act(start + 1.0, start + 4.0, (one,), "slow"),
        Act(start + 2.5, start + 6.5, (two,), "freeze"),
        Act(start + 5.5, start + 8.5, (three,), "kill"),
        Act(start + 8.0, start + 11.5, (four,), "swallow"),
        Act(start + 11.0, start + 13.5, (one,), "break_off"),
        Act(start + 14.0, start + 17.0, (two,), "drain"),
        Act(start + 18.5, start + 21.5, (one, two, three, four), "kill"),
    ]
