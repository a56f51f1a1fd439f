"""`fairlead top`: what `fairlead status` shows, again and again."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from fairlead.cli import output
from fairlead.cli.command import Command, Whole, instance_option, json_option
from fairlead.cli.commands.status import render

if TYPE_CHECKING:
    from fairlead.cli.ask import Running

__all__ = ["top"]

_HELP = "q ends it"


@click.command(
    cls=Command,
    examples=[
        ("fairlead top", "Everything at a glance, as it is now; q or Ctrl-C ends it."),
        ("fairlead top --every 5", "Every five seconds."),
        ("fairlead top --times 3 > log", "Off a terminal: one table below the other."),
    ],
)
@click.option(
    "--every",
    type=Whole(1, 3600),
    default=1,
    metavar="SECONDS",
    help="Between two looks.  [default: 1]",
)
@click.option("--times", type=Whole(1), metavar="COUNT", help="End after so many looks.")
@instance_option
@json_option
def top(instance: str | None, *, every: int, times: int | None, as_json: bool) -> None:
    """Show listeners, pools and backends as they change: rates, latencies, health, reasons."""
    from fairlead.cli.ask import find

    running = find(instance)
    if as_json or not sys.stdout.isatty():
        _print(running, every, times, as_json=as_json)
    else:
        _draw(running, every, times)


def _draw(running: Running, every: int, times: int | None) -> None:
    from fairlead.cli.screen import Screen

    with Screen() as screen:
        looks = 0
        while True:
            screen.show(f"{render(_look(running), history=True)}\n\n{output.paint(_HELP, 'quiet')}")
            looks += 1
            if looks == times or screen.wait(every):
                return


def _print(running: Running, every: int, times: int | None, *, as_json: bool) -> None:
    looks = 0
    while True:
        answer = _look(running)
        output.data(json.dumps(answer) if as_json else f"{render(answer)}\n")
        looks += 1
        if looks == times:
            return
        time.sleep(every)


def _look(running: Running) -> dict[str, Any]:
    answer: dict[str, Any] = running.ask("GET", "/v1/status").json
    return answer
