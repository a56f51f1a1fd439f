"""What came of the demo: what was done to whom, when fairlead noticed, what clients noticed.

`Chronicle` is told as things happen; `Report` is made from it at the end, as lines for people and
as JSON. Times are seconds from the start of the demo.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fairlead.words import counted

if TYPE_CHECKING:
    from fairlead.demo.scenario import Act
    from fairlead.demo.tally import Tally


class Count(NamedTuple):
    """What became of all that a backend was asked so far."""

    answered: int
    failed: int


Counts = dict[str, Count]
"""By the backend's name."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a backend's health, and when."""

    time: float
    backend: str
    to: str
    why: str


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done to one backend, and what came of it.

    Attributes:
        backend: To whom.
        text: What.
        began: When.
        ended: When it was undone; ``None`` if the demo ended before.
        out_after: Seconds until fairlead stopped preferring it; ``None`` if it never did.
        back_after: Seconds from the end until it was trusted again; ``None`` if it wasn't out
            then, or never came back.
        why: What fairlead gave as the reason.
        answered: Requests that it answered meanwhile.
        hidden: Attempts on it that failed meanwhile, which no client noticed.
    """

    backend: str
    text: str
    began: float
    ended: float | None
    out_after: float | None
    back_after: float | None
    why: str
    answered: int
    hidden: int


class Chronicle:
    """What happened, in order."""

    def __init__(self) -> None:
        self._acts: list[_Record] = []
        self._changes: list[Change] = []

    def begin(self, act: Act, time: float, counts: Counts) -> None:
        """An act began; `counts` is what each backend had been asked by then."""
        self._acts.append(_Record(act, time, None, counts, None))

    def end(self, act: Act, time: float, counts: Counts) -> None:
        """An act was undone."""
        for record in self._acts:
            if record.act is act:
                record.ended, record.after = time, counts

    def change(self, change: Change) -> None:
        """A backend's health changed."""
        self._changes.append(change)

    def deeds(self, counts: Counts) -> list[Deed]:
        """All acts, one row for each backend that was acted on; `counts` is of now."""
        return [
            self._deed(record, backend, record.after or counts)
            for record in self._acts
            for backend in record.act.backends
        ]

    def _deed(self, record: _Record, backend: str, after: Counts) -> Deed:
        asked, asked_before = after[backend], record.before[backend]
        out = self._first(backend, ("suspect", "down"), record.began, record.ended)
        down = self._first(backend, ("down",), record.began, record.ended)
        back = None
        if record.ended is not None and self._is_out(backend, record.ended):
            back = self._first(backend, ("healthy",), record.ended, None)
        return Deed(
            backend=backend,
            text=record.act.text,
            began=round(record.began, 3),
            ended=None if record.ended is None else round(record.ended, 3),
            out_after=None if out is None else round(out.time - record.began, 3),
            back_after=None
            if back is None or record.ended is None
            else round(back.time - record.ended, 3),
            why="" if out is None else (down or out).why,
            answered=asked.answered - asked_before.answered,
            hidden=asked.failed - asked_before.failed,
        )

    def _is_out(self, backend: str, time: float) -> bool:
        """Whether it was out at this time."""
        last = "healthy"
        for change in self._changes:
            if change.backend == backend and change.time < time:
                last = change.to
        return last != "healthy"

    def _first(
        self, backend: str, to: tuple[str, ...], after: float, before: float | None
    ) -> Change | None:
        """The first such change within a time."""
        for change in self._changes:
            in_time = change.time >= after and (before is None or change.time < before)
            if change.backend == backend and change.to in to and in_time:
                return change
        return None


@dataclass(slots=True)
class _Record:
    act: Act
    began: float
    ended: float | None
    before: Counts
    after: Counts | None


@dataclass(frozen=True, slots=True)
class Report:
    """The end of the demo."""

    seconds: float
    deeds: list[Deed]
    requests: int
    errors: int
    error_texts: list[str]
    slowest_ms: float
    p50_ms: float
    p99_ms: float
    by_backend: dict[str, int]

    @classmethod
    def of(cls, seconds: float, deeds: list[Deed], tally: Tally) -> Report:
        """Put it together."""
        return cls(
            seconds=round(seconds, 1),
            deeds=deeds,
            requests=tally.requests,
            errors=tally.errors,
            error_texts=list(tally.error_texts),
            slowest_ms=round(tally.slowest_ms, 1),
            p50_ms=round(tally.percentile_ms(0.5), 1),
            p99_ms=round(tally.percentile_ms(0.99), 1),
            by_backend=dict(sorted(tally.by_backend.items())),
        )

    @property
    def exit_code(self) -> int:
        """0 only if clients were there and none of them saw an error."""
        return 0 if self.requests and not self.errors else 1

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people, without colour."""
        lines = [f"after {self.seconds:g} s"]
        lines += [_told(deed) for deed in self.deeds]
        lines.append(f"clients: {self.requests:,} requests, {_errors(self.errors)}")
        lines.append(
            f"latency: half below {self.p50_ms:g} ms, 99 % below {self.p99_ms:g} ms, "
            f"slowest {self.slowest_ms:g} ms"
        )
        shares = (f"{name} {count:,}" for name, count in self.by_backend.items())
        lines.append("answered by: " + ", ".join(shares))
        lines += [f"error: {text}" for text in self.error_texts]
        return lines


def _errors(count: int) -> str:
    return counted(count, "error") if count else "not one error"


def _told(deed: Deed) -> str:
    """One deed in a line."""
    span = f"{deed.began:5.1f} s"
    parts = [f"{deed.backend}: {deed.text}"]
    if deed.out_after is not None:
        parts.append(f"noticed after {_time(deed.out_after)} ({deed.why})")
    if deed.back_after is not None:
        parts.append(f"back {_time(deed.back_after)} after its end")
    meanwhile = f"answered {counted(deed.answered, 'request')} meanwhile"
    if deed.hidden:
        meanwhile += f", {deed.hidden} more failed there and were answered elsewhere"
    return f"{span}  " + "; ".join([*parts, meanwhile])


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
