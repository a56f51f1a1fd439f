"""What came of the demo: what was done to whom, when fairlead noticed, what clients noticed.

`Chronicle` is told as things happen; `Report` is made from it at the end, as lines for people and
as JSON. Times are seconds from the start of the demo.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.demo.scenario import Act
    from fairlead.demo.tally import Tally


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
        back_after: Seconds from the end until it was trusted again; ``None`` if it never was out
            or never came back.
        why: What fairlead gave as the reason.
        hidden: Attempts that failed on it meanwhile and that no client noticed.
    """

    backend: str
    text: str
    began: float
    ended: float | None
    out_after: float | None
    back_after: float | None
    why: str
    hidden: int


class Chronicle:
    """What happened, in order."""

    def __init__(self) -> None:
        self._acts: list[_Record] = []
        self._changes: list[Change] = []

    def begin(self, act: Act, time: float, failures: dict[str, int]) -> None:
        """An act began; `failures` is how many attempts had failed on each backend by then."""
        self._acts.append(_Record(act, time, None, failures, {}))

    def end(self, act: Act, time: float, failures: dict[str, int]) -> None:
        """An act was undone."""
        for record in self._acts:
            if record.act is act:
                record.ended, record.failures_after = time, failures

    def change(self, change: Change) -> None:
        """A backend's health changed."""
        self._changes.append(change)

    def deeds(self, failures: dict[str, int]) -> list[Deed]:
        """All acts, one row for each backend that was acted on.

        Args:
            failures: How many attempts have failed on each backend by now.
        """
        return [
            self._deed(record, backend, failures)
            for record in self._acts
            for backend in record.act.backends
        ]

    def _deed(self, record: _Record, backend: str, failures: dict[str, int]) -> Deed:
        after = record.failures_after or failures
        out = self._first(backend, ("suspect", "down"), record.began, record.ended)
        down = self._first(backend, ("down",), record.began, record.ended)
        back = None
        if out is not None and record.ended is not None:
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
            hidden=after.get(backend, 0) - record.failures_before.get(backend, 0),
        )

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
    failures_before: dict[str, int]
    failures_after: dict[str, int]


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
    return {0: "not one error", 1: "1 error"}.get(count, f"{count:,} errors")


def _told(deed: Deed) -> str:
    """One deed in a line."""
    span = f"{deed.began:5.1f} s"
    parts = [f"{deed.backend}: {deed.text}"]
    if deed.out_after is None:
        parts.append("stayed in use")
    else:
        parts.append(f"noticed after {_time(deed.out_after)} ({deed.why})")
    if deed.back_after is not None:
        parts.append(f"back {_time(deed.back_after)} after its end")
    if deed.hidden:
        parts.append(f"{deed.hidden} failed attempts hidden from clients")
    return f"{span}  " + "; ".join(parts)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
