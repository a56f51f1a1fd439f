"""Events as values, and in words."""

import pytest

from fairlead.event import Event


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            {"event": "wish", "pool": "app", "backend": "a:1", "what": "weight 1 -> 3"},
            "pool app backend a:1 weight 1 -> 3",
        ),
        (
            {"event": "unresolved", "name": "app", "why": "name or service not known"},
            "app does not resolve, its last good addresses stay in use: name or service not known",
        ),
        (
            {"event": "accepting", "listener": "web", "accepting": False, "why": "out of memory"},
            "listener web leaves new connections waiting: out of memory",
        ),
        (
            {"event": "accepting", "listener": "web", "accepting": True, "why": "all is well"},
            "listener web accepts connections again: all is well",
        ),
        ({"event": "stopping", "why": "SIGTERM"}, "stopping: SIGTERM"),
        (
            {"event": "applied", "listeners": 1, "pools": 1, "backends": 2},
            "configuration in force (listeners: 1, pools: 1, backends: 2)",
        ),
        (
            {"event": "lost", "count": 1},
            "events were lost (1): they came faster than they were read",
        ),
        ({"event": "health", "pool": "app"}, "pool app backend  ? -> ?: ?"),
        ({"event": "newer", "pool": "app", "x": 1}, "newer pool app x 1"),
        ({}, "event"),
    ],
)
def test_an_event_is_one_line(event, text):
    assert Event.from_json(event).text == text


def test_a_time_that_is_none_is_none():
    assert Event.from_json({"event": "x", "time": "soon"}).time is None
