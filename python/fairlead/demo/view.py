"""How the demo looks while it runs: a table that is redrawn, or lines where there is no terminal.

Both are told the same `Scene` several times a second, and each line of what happens. Everything
goes to standard error.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fairlead.demo.scenario import RESERVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from fairlead.demo.scenario import Act
    from fairlead.demo.tally import Tally
    from fairlead.model import Backend

_BAR = 16
_WIDE = 120
_LINES_KEPT = 8
_PLAIN_SECONDS = 2.0
_COLOURS = {"healthy": "green", "suspect": "yellow", "down": "red", "unknown": "dim"}


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of the demo.

    Attributes:
        time: Seconds from the start.
        seconds: How long it will run, if limited.
        backends: By name, as fairlead sees them.
        acts: What is being done now.
        tally: What clients saw so far.
    """

    time: float
    seconds: float | None
    backends: dict[str, Backend]
    acts: Sequence[Act]
    tally: Tally

    def doing(self, name: str) -> str:
        """What the script is doing to a backend now."""
        return ", ".join(act.text for act in self.acts if name in act.backends)


class View(Protocol):
    """What shows the demo."""

    def start(self, lines: Sequence[str]) -> None:
        """Begin; `lines` say what is to be seen."""

    def show(self, scene: Scene) -> None:
        """A moment has come."""

    def line(self, time: float, text: str) -> None:
        """Something happened."""

    def stop(self) -> None:
        """The end; what is said after this is the report."""


class Plain:
    """Lines, one for each thing that happens and one every two seconds."""

    def __init__(self) -> None:
        self._next = _PLAIN_SECONDS

    def start(self, lines: Sequence[str]) -> None:
        """Say what is to be seen."""
        for line in lines:
            _write(line)

    def show(self, scene: Scene) -> None:
        """Every two seconds: who gets what, and what clients see."""
        if scene.time < self._next:
            return
        self._next += _PLAIN_SECONDS
        tally = scene.tally
        shares = tally.recent_shares()
        who = " ".join(
            f"{name}:{backend.health}:{shares.get(name, 0):.0%}"
            for name, backend in scene.backends.items()
        )
        self.line(
            scene.time,
            f"{tally.requests} requests, {tally.errors} errors, "
            f"p50 {tally.recent_percentile_ms(0.5):.1f} ms, "
            f"p99 {tally.recent_percentile_ms(0.99):.1f} ms | {who}",
        )

    def line(self, time: float, text: str) -> None:
        """Say it."""
        _write(f"{time:6.2f} s  {text}")

    def stop(self) -> None:
        """Nothing is left to be done."""


class Live:
    """A table in the terminal, redrawn in place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console: Console = Console(stderr=True)
        self._live = RichLive(console=self._console, auto_refresh=False, transient=True)
        self._lines: list[str] = []

    def start(self, lines: Sequence[str]) -> None:
        """Say what is to be seen, then begin to draw below it."""
        for line in lines:
            self._console.print(line, highlight=False, markup=False)
        self._live.start()

    def show(self, scene: Scene) -> None:
        """Draw."""
        from rich.console import Group

        happened = "\n".join(self._lines[-_LINES_KEPT:])
        wide = self._console.width >= _WIDE
        drawn: list[RenderableType] = [_table(scene, wide=wide), _totals(scene)]
        if not wide:
            drawn[1:1] = _notes(scene)
        drawn.append(_happened(happened))
        self._live.update(Group(*drawn), refresh=True)

    def line(self, time: float, text: str) -> None:
        """Keep it for the next drawing."""
        self._lines = [*self._lines[-_LINES_KEPT:], f"{time:6.2f} s  {text}"]

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()


def choose() -> View:
    """The table on a terminal that can draw it, lines anywhere else."""
    import os

    drawable = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return Live() if drawable else Plain()


def say(lines: Sequence[str]) -> None:
    """Write lines for people."""
    for line in lines:
        _write(line)


def _write(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _table(scene: Scene, *, wide: bool) -> Table:
    """Who gets what; on a wide terminal also what is done to whom, and what fairlead says."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, expand=wide)
    for name in ("backend", "health", "share of answers"):
        table.add_column(name, no_wrap=True)
    for name in ("in flight", "p50 ms", "p99 ms", "hidden"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("what the script does to it · what fairlead says", ratio=1)
    shares = scene.tally.recent_shares()
    for name, backend in scene.backends.items():
        health = backend.health if backend.state == "enabled" else backend.state
        cells: list[RenderableType] = [
            name if name != RESERVE else f"{name} (reserve)",
            Text(health, _COLOURS.get(health, "cyan")),
            _bar(shares.get(name, 0.0)),
            str(backend.active),
            _ms(backend.latency_ms.p50),
            _ms(backend.latency_ms.p99),
            str(backend.failures),
        ]
        table.add_row(*cells, *([_what(scene, name)] if wide else []))
    return table


def _notes(scene: Scene) -> list[RenderableType]:
    """The same below the table, a line for each backend that there is something to say of."""
    from rich.text import Text

    said = ((name, _what(scene, name)) for name in scene.backends)
    return [Text.assemble(f"{name}: ", what, no_wrap=True) for name, what in said if what.plain]


def _what(scene: Scene, name: str) -> Text:
    from rich.text import Text

    backend = scene.backends[name]
    says = backend.reason if backend.health in ("suspect", "down") else ""
    parts = [(scene.doing(name), "bold"), (says, "dim")]
    return Text(" · ").join(Text(text, style) for text, style in parts if text)


def _totals(scene: Scene) -> RenderableType:
    from rich.text import Text

    tally = scene.tally
    left = "" if scene.seconds is None else f" of {scene.seconds:g}"
    errors = Text(f"{tally.errors} errors", "bold red" if tally.errors else "bold green")
    return Text.assemble(
        f"\n{scene.time:.0f}{left} s · clients: {tally.requests:,} requests, ",
        errors,
        f", {tally.recent_rate():.0f}/s, p50 {tally.recent_percentile_ms(0.5):.1f} ms, "
        f"p99 {tally.recent_percentile_ms(0.99):.1f} ms, slowest {tally.slowest_ms:.0f} ms"
        " · q quits\n",
    )


def _happened(text: str) -> RenderableType:
    from rich.text import Text

    return Text(text, "dim", no_wrap=True, overflow="ellipsis")


def _bar(share: float) -> str:
    full = round(share * _BAR)
    return "█" * full + "·" * (_BAR - full) + f" {share:4.0%}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
