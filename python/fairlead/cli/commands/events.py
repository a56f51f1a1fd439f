"""`fairlead events`: what happens in a running fairlead, as it happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from fairlead.cli import output
from fairlead.cli.command import Command, instance_option, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from fairlead.cli.ask import Running

__all__ = ["events"]


@click.command(
    cls=Command,
    examples=[
        ("fairlead events", "What happened lately, and on as it happens; Ctrl-C ends it."),
        ("fairlead events --no-follow", "What happened lately."),
        ("fairlead events --json | jq 'select(.to == \"down\")'", "For programs: a line each."),
    ],
)
@click.option("--follow/--no-follow", default=True, help="Go on as things happen.  [default: yes]")
@instance_option
@json_option
def events(instance: str | None, *, follow: bool, as_json: bool) -> None:
    """Show what happens to backends, listeners and the configuration, each event with its reason."""
    from fairlead.cli.ask import find

    for event in _events(find(instance), follow=follow):
        output.data(event if as_json else _line(json.loads(event)))


def _events(running: Running, *, follow: bool) -> Iterator[str]:
    if follow:
        yield from running.events(after=0)
        return
    for event in running.ask("GET", "/v1/events?follow=0").json["events"]:
        yield json.dumps(event, ensure_ascii=False)


def _line(value: dict[str, Any]) -> str:
    from fairlead.event import Event

    event = Event.from_json(value)
    role = {"down": "bad", "suspect": "doubt", "healthy": "good"}.get(event.detail.get("to", ""))
    return f"{output.paint(_when(event.time), 'quiet')} {output.paint(event.text, role or '')}"


def _when(time: datetime | None) -> str:
    """The time on the reader's clock; the date, too, unless it is today's."""
    if time is None:
        return "--:--:--.---"
    here = time.astimezone()
    today = here.date() == here.now(here.tzinfo).date()
    return here.strftime("%H:%M:%S.%f" if today else "%Y-%m-%d %H:%M:%S.%f")[:-3]
