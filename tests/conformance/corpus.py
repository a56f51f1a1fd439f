"""The corpus: each message of the tables, and what has to become of it, as lines of JSON.

``python -m conformance.corpus`` (in ``tests/``) writes the files anew from the tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from conformance import onward, requests, responses, strict
from conformance.table import BROKEN, Rule

FOLDER = Path(__file__).with_name("corpus")

SENTINEL = "GET /after HTTP/1.1\r\nHost: corpus\r\n\r\n"
"""Sent behind each message: where it begins for the backend says where the message ended."""

BACKEND = "BACKEND"
"""Stands for the backend's address in what it has to get."""


@dataclass(frozen=True)
class Seen:
    """A message as its receiver has to see it: names in lower case, sorted.

    ``*`` stands for a request's id and for a date of ours.
    """

    start: str
    fields: list[str]
    body: str = ""
    trailers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A message and its required outcome."""

    name: str
    section: str
    says: str
    sent: str
    statuses: list[int]
    """What the client is answered, in order."""
    closes: bool
    """Whether its connection ends then; otherwise `SENTINEL` is answered next."""
    seen: list[Seen]
    """What the backend gets of a request, or the client of a response. Without the sentinel."""
    ask: str = ""
    """Of a response: the request that it answers."""
    then: str = ""
    """Of a response: what the backend does afterwards, ``keeps`` or ``closes``."""


def _lines(fields: list[strict.Field] | tuple[strict.Field, ...]) -> list[str]:
    return [f"{name}: {value.decode('latin-1')}" for name, value in fields]


def seen_request(message: strict.Message) -> Seen:
    """What a backend has to get of a request that was right."""
    return Seen(
        f"{message.start[0]} {onward.onward_target(message)}",
        _lines(onward.onward_fields(message, BACKEND, "127.0.0.1")),
        message.body.decode("latin-1"),
        _lines(onward.onward_trailers(message)),
    )


def seen_response(message: strict.Message, client: str) -> Seen:
    """What a client of this version has to get of a response that was right."""
    keeps_trailers = client != "HTTP/1.0"
    return Seen(
        message.start[1],
        _lines(onward.onward_response(message, client)),
        message.body.decode("latin-1"),
        _lines(onward.onward_trailers(message)) if keeps_trailers else [],
    )


def _request_case(rule: Rule, name: str, text: str) -> Case:
    found, _ = strict.read_requests((text + SENTINEL).encode("latin-1"))
    own = [message for message in found if message.start[1] != "/after"]
    gone_on = [message for message in own if onward.local_status(message) is None]
    statuses = list(rule.outcome.statuses)
    seen = [seen_request(message) for message in gone_on]
    return Case(name, rule.section, rule.says, text, statuses, rule.outcome.closes, seen)


def _response_case(rule: Rule, name: str, text: str) -> Case:
    lines = [f"{rule.method} /{name} {rule.version}", "Host: corpus"]
    if rule.method == "POST":
        lines.append("Content-Length: 0")
    if rule.version == "HTTP/1.0":
        lines.append("Connection: keep-alive")
    seen = []
    if rule.outcome.statuses[-1:] == (200,):
        ended = rule.then == "closes"
        answer = strict.read_answer(text.encode("latin-1"), rule.method, ended=ended)
        seen = [seen_response(answer[-1], rule.version)]
    statuses = list(rule.outcome.statuses)
    if seen:
        statuses[-1] = int(seen[0].start)
    ask = "\r\n".join([*lines, "", ""])
    closes = rule.outcome.closes
    return Case(name, rule.section, rule.says, text, statuses, closes, seen, ask, rule.then)


def cases(kind: str) -> Iterator[Case]:
    """All cases of ``requests`` or ``responses``, made of the tables."""
    rules, make = (
        (requests.RULES, _request_case) if kind == "requests" else (responses.RULES, _response_case)
    )
    for rule in rules:
        for number, text in enumerate(rule.messages, 1):
            yield make(rule, f"{rule.name}-{number}", text)


def is_broken(case: Case) -> bool:
    """Whether its beginning goes on and its receiver sees that it broke off."""
    return case.statuses == list(BROKEN.statuses)


def written(kind: str) -> str:
    """The file of a kind as it has to be."""
    return "".join(json.dumps(asdict(case)) + "\n" for case in cases(kind))


def read(kind: str) -> list[Case]:
    """The cases of a kind, from its file."""
    text = (FOLDER / f"{kind}.jsonl").read_text(encoding="ascii")
    return [_case(json.loads(line)) for line in text.splitlines()]


def _case(entry: dict[str, Any]) -> Case:
    return Case(**{**entry, "seen": [Seen(**seen) for seen in entry["seen"]]})


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in ("requests", "responses"):
        (FOLDER / f"{each}.jsonl").write_text(written(each), encoding="ascii")
