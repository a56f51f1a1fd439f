"""The ring of events and its subscribers."""

import json

from fairlead.control.events import EventLog


def add(log, *names):
    for name in names:
        log.add(json.dumps({"event": name}).encode())


def names(events):
    return [json.loads(event)["event"] for event in events]


def test_events_are_numbered_from_one_and_kept_up_to_a_bound():
    log = EventLog(kept=3)
    add(log, "a", "b", "c", "d")
    events, lost = log.after(0)
    assert [json.loads(event)["id"] for event in events] == [2, 3, 4]
    assert lost == 1


def test_after_answers_what_is_new_only():
    log = EventLog()
    add(log, "a", "b", "c")
    assert names(log.after(2)[0]) == ["c"]
    assert log.after(3) == ([], 0)
    assert log.after(99) == ([], 0)


def test_own_events_have_a_time_and_are_values_too():
    log = EventLog()
    event = log.tell("stopping", why="SIGTERM")
    (kept,), _ = log.after(0)
    assert json.loads(kept)["time"].endswith("Z")
    assert (event.kind, event.detail, event.id) == ("stopping", {"why": "SIGTERM"}, 1)


def test_subscribers_are_woken_and_see_what_comes_after_them():
    log = EventLog()
    add(log, "before")
    woken = []
    subscription = log.subscribe(lambda: woken.append(1))
    add(log, "a", "b")
    assert len(woken) == 2
    assert names(subscription.take()) == ["a", "b"]
    assert subscription.take() == []


def test_a_subscriber_may_begin_in_the_past():
    log = EventLog()
    add(log, "a", "b")
    assert names(log.subscribe(lambda: None, after=0).take()) == ["a", "b"]


def test_a_slow_subscriber_is_told_how_many_it_missed():
    log = EventLog(kept=2)
    subscription = log.subscribe(lambda: None)
    add(log, "a", "b", "c", "d", "e")
    first, *rest = subscription.take()
    assert json.loads(first) == {"event": "lost", "count": 3}
    assert names(rest) == ["d", "e"]


def test_a_number_from_another_life_means_from_now_on():
    log = EventLog()
    add(log, "a")
    subscription = log.subscribe(lambda: None, after=5_000)
    add(log, "b")
    assert names(subscription.take()) == ["b"]


def test_a_closed_subscription_is_not_woken():
    log = EventLog()
    woken = []
    subscription = log.subscribe(lambda: woken.append(1))
    subscription.close()
    subscription.close()
    add(log, "a")
    assert woken == []
