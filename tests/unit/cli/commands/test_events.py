from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

HEALTH = {
    "id": 1,
    "time": "2024-02-29T12:00:00.123Z",
    "event": "health",
    "pool": "app",
    "backend": "app1:80",
    "from": "healthy",
    "to": "down",
    "why": "check: connect refused, 3 in a row",
}
LINE = "pool app backend app1:80 healthy -> down: check: connect refused, 3 in a row"


@pytest.fixture
def answers():
    stream = f"event: health\ndata: {json.dumps(HEALTH)}\n\n".encode()
    return {
        "GET /v1/events?follow=0": (200, {"events": [HEALTH]}),
        "GET /v1/events?after=0": (200, stream),
    }


@pytest.mark.parametrize("words", [["events"], ["events", "--no-follow"]])
def test_events_are_lines(run, instance, answers, words):
    instance(answers)
    here = datetime.fromisoformat(HEALTH["time"]).astimezone()

    assert run(*words) == (0, f"{here:%Y-%m-%d %H:%M:%S}.123 {LINE}\n", "")


def test_today_needs_no_date(run, instance):
    now = datetime.now(UTC)
    instance({"GET /v1/events?follow=0": (200, {"events": [{"time": now.isoformat()}]})})

    assert re.match(r"\d\d:\d\d:\d\d\.\d{3} ", run("events", "--no-follow").out)


@pytest.mark.parametrize("words", [["events"], ["events", "--no-follow"]])
def test_events_as_json_are_lines_too(run, instance, answers, words):
    instance(answers)
    done = run(*words, "--json")

    assert [json.loads(line) for line in done.out.splitlines()] == [HEALTH]


def test_colour_says_what_the_words_say(run, instance, answers, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    instance(answers)

    assert f"\033[31m{LINE}\033[0m" in run("events").out


def test_an_event_without_a_time(run, instance):
    instance({"GET /v1/events?follow=0": (200, {"events": [{"event": "new"}]})})

    assert run("events", "--no-follow").out.startswith("-")
