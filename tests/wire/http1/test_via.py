"""Which way a message came (`Via`) and when it was made (`Date`)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from harness.backend import keeping, response
from harness.balancer import loopback
from harness.config import site

DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    r"20[0-9]{2} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT"
)


def is_now(date: str | None) -> bool:
    """Whether it is a date in the form that HTTP prefers, and the time of day."""
    assert date is not None
    assert DATE.fullmatch(date), date
    return abs(datetime.now(UTC) - parsedate_to_datetime(date)) < timedelta(seconds=30)


def test_requests_and_answers_say_that_they_came_this_way(http, backend) -> None:
    one = backend()

    answer = http(one).connect().get()

    assert one.requests[0].values("Via") == ["1.1 fairlead"]
    assert answer.values("Via") == ["1.1 fairlead"]


def test_we_are_the_last_of_those_that_a_message_came_by(http, backend) -> None:
    one = backend(keeping(lambda _: response(b"", headers={"Via": "1.0 cache, 1.1 other"})))

    answer = http(one).connect().get("/", "Via: 1.0 fred", "Via: 1.1 p.example.net")

    assert one.requests[0].values("Via") == ["1.0 fred", "1.1 p.example.net", "1.1 fairlead"]
    assert answer.values("Via") == ["1.0 cache, 1.1 other", "1.1 fairlead"]


def test_the_version_is_that_in_which_a_message_came(http, backend) -> None:
    one = backend(keeping(lambda _: b"HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n"))

    answer = http(one).connect().ask("GET / HTTP/1.0\r\nHost: app\r\n\r\n")

    assert one.requests[0].values("Via") == ["1.0 fairlead"]
    assert answer.values("Via") == ["1.0 fairlead"]


def test_connection_can_not_take_the_way_away(http, backend) -> None:
    data = response(b"", headers={"Connection": "via, date", "Via": "1.1 a", "Date": "then"})
    one = backend(keeping(lambda _: data))

    answer = http(one).connect().get("/", "Connection: Via", "Via: 1.0 fred")

    assert one.requests[0].values("Via") == ["1.0 fred", "1.1 fairlead"]
    assert answer.values("Via") == ["1.1 a", "1.1 fairlead"]
    assert answer.values("Date") == ["then"]


@pytest.mark.parametrize(("set_to", "said"), [("edge-1", ["1.1 edge-1"]), ("off", [])])
def test_the_name_can_be_chosen_or_left_out(fairlead, backend, set_to: str, said) -> None:
    listen, one = loopback(), backend()
    balancer = fairlead(config=site(listen, one, listener=f'via = "{set_to}"'))

    answer = balancer.connect(listen).get()

    assert one.requests[0].values("Via") == said
    assert answer.values("Via") == said


def test_an_answer_without_a_date_gets_the_time_at_which_it_came(http, backend) -> None:
    """RFC 9110 §6.6.1."""
    answer = http(backend()).connect().get()

    assert is_now(answer.value("Date"))


def test_an_answers_own_date_stays(http, backend) -> None:
    then = "Sun, 06 Nov 1994 08:49:37 GMT"
    one = backend(keeping(lambda _: response(b"", headers={"date": then})))

    assert http(one).connect().get().values("Date") == [then]


def test_our_own_answers_say_when_they_were_made(http, backend) -> None:
    line = http(backend()).connect()

    answer = line.ask("GET / HTTP/1.1\r\n\r\n")

    assert answer.status == 400
    assert is_now(answer.value("Date"))
    assert not answer.has("Via"), "it came from nowhere else"
