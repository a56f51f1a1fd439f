"""Why a goal is missed, or a rival does it for less: a sentence or two for each goal.

Whatever number a reason has is of the run that it explains. What can't be shown by that run alone is
said with the page that shows it. The floors are the yardstick: relays that only move bytes, what is
above them is the balancer's.

Not here: which goals there are, and whether they are kept (`report`).
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from samples import MINE, ByPeer, ends, median, number, values


@dataclass(frozen=True)
class Row:
    """One limit of a goal beside what a run has of it. Numbers are as shown, in `unit`."""

    results: dict[str, ByPeer]
    scenario: str
    metric: str
    unit: str
    scale: float
    limit: float
    mine: float
    rival: str
    """Whom fairlead is compared with; empty if nobody is there."""
    theirs: float | None
    relative: bool
    """Whether the limit is a multiple of the rival's."""
    found: list[float]
    """The ratios round by round; of a limit that is none, fairlead's own samples."""

    @property
    def by_peer(self) -> ByPeer:
        return self.results[self.scenario]

    @property
    def goal(self) -> float:
        """What the goal comes to in this run."""
        return self.limit * self.theirs if self.relative and self.theirs else self.limit

    def of(self, peer: str, metric: str | None = None) -> float | None:
        """A balancer's median, as shown."""
        found = median(self.by_peer.get(peer, []), metric or self.metric)
        return None if found is None else found * self.scale

    def ends_of(self, peer: str) -> str:
        found = values(self.by_peer.get(peer, []), self.metric)
        return ends(found, self.scale) if found else "–"


Reason = Callable[[Row], str]
YARDSTICK = ("`floor` is a relay that does nothing but two receives and two sends, `floor-splice` one that does "
             "nothing but splice: what is above them is the balancer's.")


def together(*parts: Reason | str) -> Reason:
    """Several, one after the other."""
    return lambda row: " ".join(filter(None, (
        part if isinstance(part, str) else part(row) for part in parts)))


def beside_floor(floor: str) -> Reason:
    """How near the goal is to what moving the bytes costs."""
    def why(row: Row) -> str:
        least = row.of(floor)
        if least is None:
            return (f"How much of it moving the bytes alone costs isn't known: `{floor}` was not "
                    "measured in this run.")
        if row.mine <= least:
            return f"fairlead takes no more than `{floor}`, {number(least)} in this run."
        above = number(row.mine - least)
        if row.goal <= least:
            return (f"The goal comes to {number(row.goal)} {row.unit}, and `{floor}` takes "
                    f"{number(least)}: no balancer that moves bytes like that could have kept it in "
                    f"this run. fairlead is {above} above.")
        return (f"Of the {number(row.goal)} {row.unit} that the goal comes to, `{floor}` takes "
                f"{number(least)}: {number(row.goal - least)} are left for all that makes a "
                f"balancer of it, and fairlead takes {above}.")
    return why


def own_code(row: Row) -> str:
    """Whose the time is: user time is fairlead's, system time the kernel's."""
    user = median(row.by_peer[MINE], "user_share")
    if user is None:
        return ""
    return (f"Of fairlead's {number(row.mine)} the kernel has {(1 - user) * 100:.0f} %, its own "
            f"code {number(row.mine * user)} (as the clock's ticks fell).")


def latency(row: Row) -> str:
    """How much of it is the machine's: the floor's beside it."""
    floor = row.of("floor")
    single = f"single rounds of fairlead's are {row.ends_of(MINE)} {row.unit}"
    if row.theirs is not None:
        single += f", {row.rival}'s {row.ends_of(row.rival)}"
    if floor is None:
        return f"How much of it is the machine's isn't known, `floor` was not measured; {single}."
    text = f"`floor` has {number(floor)} {row.unit} at the same rate; {single}, `floor`'s {row.ends_of('floor')}."
    rounds = values(row.by_peer["floor"], row.metric)
    if row.theirs and rounds[-1] / rounds[0] > row.mine / row.theirs:
        text += " So `floor` alone moves by more, from round to round, than the two differ by."
    elif row.mine > floor:
        text += f" {(row.mine - floor) / row.mine * 100:.0f} % of fairlead's are above it."
    return text


def services(row: Row) -> str:
    """What the process takes before it has any service, and what one service takes."""
    before = median(row.results.get("idle_http", {}).get(MINE, []), "rss_before_mib")
    count = median(row.by_peer[MINE], "services")
    if before is None or count is None:
        return "It is the process with its Python, and for each service what its backends are known by."
    each = (row.mine - before) / count * 1024
    return (f"{number(before)} MiB are the process with its Python and one service; each of the "
            f"{count:.0f} takes {each:.0f} KiB: its listener, its pool, and what is known of its backends.")
