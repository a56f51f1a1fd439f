"""Which samples a run takes, in which order: rounds, what is measured again, and when time is up.

1. A round is every unit once, so that what disturbs one disturbs all. A unit is one start of one
   peer, with all the work that is measured on it.
2. Each peer is to have so many samples of each work that nobody disturbed, and rivals so many
   rounds in which fairlead's was undisturbed, too: a ratio needs both. What lacks some is measured
   again in further rounds, fairlead with it, so many times at most; what lacks some even then is told.
3. A limit of time is kept by leaving out: no round begins that wouldn't end in time, of the first
   no unit. What is left out is told.

Not here: how a sample is taken (`bench`, `special`), what samples say (`samples`).
"""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from samples import FLOORS, MINE, ByPeer, is_quiet, round_of


@dataclass(frozen=True)
class Unit:
    """One start of one peer: how it is set up, who it is, what is measured on it."""

    kind: str
    peer: str
    works: tuple[str, ...]


def lacking(by_peer: ByPeer, peers: list[str], wanted: int) -> dict[str, int]:
    """How many undisturbed rounds each of these lacks; of rivals those count that fairlead has, too."""
    calm = {peer: {round_of(s) for s in by_peer.get(peer, []) if is_quiet(s)} for peer in peers}
    out = {}
    for peer in peers:
        beside = calm[MINE] if MINE in calm and peer not in FLOORS else calm[peer]
        if (missing := wanted - len(calm[peer] & beside)) > 0:
            out[peer] = missing
    return out


@dataclass
class Rounds:
    """Takes all samples of a run: `measure(unit, rep)` takes those of one unit, into `results`."""

    units: list[Unit]
    wanted: dict[str, int]
    """Undisturbed samples of each work."""
    results: dict[str, ByPeer]
    measure: Callable[[Unit, int], None]
    more: int = 0
    """Further rounds at most."""
    limit: float | None = None
    """Seconds for all of it, from `began`."""
    guess: Callable[[Unit], float] = lambda unit: 0.0
    """Seconds of a unit that was not measured yet."""
    say: Callable[[str], None] = print
    clock: Callable[[], float] = time.monotonic
    began: float | None = None
    done: int = 0
    """Rounds that were whole."""
    left_out: list[str] = field(default_factory=list)
    """What wasn't measured as it was to be, for whoever reads the tables."""
    _took: dict[tuple[str, str], float] = field(default_factory=dict)

    def run(self) -> None:
        self.began = self.clock() if self.began is None else self.began
        if self._regular():
            self._again()
        self._tell_lacking()

    def _regular(self) -> bool:
        """The rounds that were asked for; whether there was time for all."""
        rounds = max(self.wanted.values(), default=0)
        for rep in range(rounds):
            units = self._of(lambda work, _: rep < self.wanted[work])
            if rep and not self._fits(units):
                self._note(f"{rep} of {rounds} rounds: one more would not end within {self._limit()}")
                return False
            for unit in units:
                if rep == 0 and not self._fits([unit]):
                    self._note(f"{unit.peer} ({', '.join(unit.works)}) left out: no time within {self._limit()}")
                else:
                    self._take(unit, rep)
            self.done = rep + 1
        return not self.left_out

    def _again(self) -> None:
        first = max(self.wanted.values(), default=0)
        for rep in range(first, first + self.more):
            lack = self._lack()
            if not lack:
                return
            units = self._of(lambda work, peer: peer in lack.get(work, {}) or (
                peer == MINE and bool(set(lack.get(work, {})) - set(FLOORS))))
            if not self._fits(units):
                self.say(f"no time to measure again within {self._limit()}")
                return
            self.say(f"further round {rep - first + 1} of at most {self.more}, for what was disturbed or failed: "
                     + "; ".join(f"{work} ({', '.join(peers)})" for work, peers in lack.items()))
            for unit in units:
                self._take(unit, rep)

    def _lack(self) -> dict[str, dict[str, int]]:
        found = {}
        for work, wanted in self.wanted.items():
            peers = [unit.peer for unit in self.units if work in unit.works]
            if lack := lacking(self.results.get(work, {}), peers, wanted):
                found[work] = lack
        return found

    def _tell_lacking(self) -> None:
        for work, peers in self._lack().items():
            self.say(f"{work}: undisturbed rounds missing: "
                     + ", ".join(f"{count} of {self.wanted[work]} of {peer}'s" for peer, count in peers.items()))

    def _of(self, keep: Callable[[str, str], bool]) -> list[Unit]:
        """The units with the work of theirs that is to be kept, without those that have none then."""
        out = []
        for unit in self.units:
            if works := tuple(work for work in unit.works if keep(work, unit.peer)):
                out.append(Unit(unit.kind, unit.peer, works))
        return out

    def _take(self, unit: Unit, rep: int) -> None:
        before = self.clock()
        self.measure(unit, rep)
        # By work: a further round has not all of them.
        self._took[unit.kind, unit.peer] = (self.clock() - before) / len(unit.works)

    def _fits(self, units: list[Unit]) -> bool:
        if self.limit is None:
            return True
        need = sum(self._took[unit.kind, unit.peer] * len(unit.works)
                   if (unit.kind, unit.peer) in self._took else self.guess(unit) for unit in units)
        return self.clock() - self.began + need <= self.limit

    def _limit(self) -> str:
        return f"{self.limit / 60:.1f} minutes"

    def _note(self, text: str) -> None:
        self.left_out.append(text)
        self.say(text)
