"""What came of the demo."""

import json

import pytest

from fairlead.demo.report import Change, Chronicle, Count, Report
from fairlead.demo.scenario import Act
from fairlead.demo.tally import Batch, Tally

KILL = Act(1.0, 4.0, ("ash", "elm"), "kill")


def counts(ash=(0, 0), elm=(0, 0)):
    return {"ash": Count(*ash), "elm": Count(*elm)}


@pytest.fixture
def chronicle():
    made = Chronicle()
    made.begin(KILL, 1.0, counts((10, 1), (20, 0)))
    made.change(Change(1.05, "ash", "suspect", "traffic: connect refused, 1 in a row"))
    made.change(Change(1.30, "ash", "down", "check: connect refused, 3 in a row"))
    made.end(KILL, 4.1, counts((15, 4), (21, 0)))
    made.change(Change(4.6, "ash", "healthy", "check: answered, 2 in a row"))
    return made


def test_times_count_from_the_act_and_from_its_end(chronicle):
    ash, elm = chronicle.deeds(counts((99, 99), (99, 99)))
    assert (ash.out_after, ash.back_after) == (0.05, 0.5)
    assert ash.why == "check: connect refused, 3 in a row"
    assert (ash.answered, ash.hidden) == (5, 3)
    assert (elm.out_after, elm.back_after, elm.answered, elm.hidden) == (None, None, 1, 0)


def test_what_happened_before_or_after_an_act_is_not_its_doing():
    chronicle = Chronicle()
    chronicle.change(Change(0.5, "ash", "down", "before"))
    chronicle.begin(KILL, 1.0, counts())
    chronicle.end(KILL, 4.0, counts())
    chronicle.change(Change(5.0, "ash", "suspect", "after"))
    assert chronicle.deeds(counts())[0].out_after is None


def test_one_that_was_trusted_again_before_the_end_does_not_come_back_later():
    chronicle = Chronicle()
    chronicle.begin(KILL, 1.0, counts())
    chronicle.change(Change(1.5, "ash", "suspect", "late"))
    chronicle.change(Change(2.0, "ash", "healthy", "check: answered"))
    chronicle.end(KILL, 4.0, counts())
    chronicle.change(Change(9.0, "ash", "down", "something else"))
    chronicle.change(Change(11.0, "ash", "healthy", "check: answered"))
    (ash, _) = chronicle.deeds(counts())
    assert (ash.out_after, ash.back_after) == (0.5, None)


def test_an_act_under_way_counts_until_now():
    chronicle = Chronicle()
    chronicle.begin(KILL, 1.0, counts())
    chronicle.change(Change(1.5, "ash", "down", "x"))
    (ash, _) = chronicle.deeds(counts((7, 2)))
    assert (ash.ended, ash.out_after, ash.back_after, ash.answered) == (None, 0.5, None, 7)


def report(*batches, chronicle=None):
    tally = Tally()
    for batch in batches:
        tally.add(batch, now=0)
    deeds = [] if chronicle is None else chronicle.deeds(counts())
    return Report.of(15.04, deeds, tally)


def test_the_exit_code_is_the_clients_verdict():
    assert report(Batch([1.0], [], {})).exit_code == 0
    assert report(Batch([1.0], ["reset"], {})).exit_code == 1
    assert report().exit_code == 1


def test_it_reads_as_lines(chronicle):
    lines = report(Batch([1.0] * 1200, [], {"ash": 1200}), chronicle=chronicle).lines()
    assert lines[0] == "after 15 s"
    assert lines[1] == (
        "  1.0 s  ash: killed (SIGKILL), refuses connects; noticed after 50 ms "
        "(check: connect refused, 3 in a row); back 500 ms after its end; "
        "answered 5 requests meanwhile, 3 more failed there and were answered elsewhere"
    )
    assert lines[2].endswith("answered 1 request meanwhile")
    assert lines[3] == "clients: 1,200 requests, not one error"
    assert lines[-1] == "answered by: ash 1,200"


def test_errors_are_named():
    lines = report(Batch([1.0], ["HTTP/1.1 503"], {})).lines()
    assert "clients: 2 requests, 1 error" in lines
    assert lines[-1] == "error: HTTP/1.1 503"


def test_it_is_json_too(chronicle):
    value = json.loads(json.dumps(report(Batch([1.0], [], {}), chronicle=chronicle).to_json()))
    assert value["requests"] == 1
    assert value["deeds"][0]["backend"] == "ash"
