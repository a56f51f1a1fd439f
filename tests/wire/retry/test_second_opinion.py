"""An error is shown to a second backend before the client sees it."""

from __future__ import annotations

import pytest

from harness.backend import keeping, response, saying
from harness.balancer import loopback
from harness.config import site

ERROR = response(b"broken", "500 Internal Server Error")


def failing_every(count: int):
    """Answers each ``count``-th request with a 500; its check page is always well."""
    seen = [0]

    def answer(request) -> bytes:
        if request.target == "/healthz":
            return response(b"well")
        seen[0] += 1
        return ERROR if seen[0] % count == 0 else response(b"one")

    return keeping(answer)


def test_errors_of_one_backend_are_answered_by_another(fairlead, backend) -> None:
    """Every other answer is a 500, the check page is well: few clients see it."""
    one, two = backend(failing_every(2)), backend(saying("two"))
    listen = loopback()
    check = 'type = "http", path = "/healthz", interval = "300ms"'
    balancer = fairlead(config=site(listen, one, two, check=check))
    line = balancer.connect(listen)

    statuses = [line.get().status for _ in range(500)]

    assert statuses.count(500) <= 5
    assert statuses.count(200) >= 495
    events = [event for event in balancer.events() if event["event"] == "health"]
    assert any(event["backend"] == one.address and event["to"] == "suspect" for event in events)


def test_an_error_that_everybody_makes_is_the_requests_own(http, backend) -> None:
    one = backend(keeping(lambda _: response(b"first", "500 No")))
    two = backend(keeping(lambda _: response(b"second", "503 No")))
    balancer = http(one, two, "--policy", "first")
    line = balancer.connect()

    answer = line.get()

    assert (answer.status, answer.body, answer.reason) == (500, b"first", None)
    rows = balancer.backends()
    assert {row["health"] for row in rows.values()} <= {"healthy", "unknown"}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_what_may_be_repeated_is_asked_again(http, backend, method: str) -> None:
    one, two = backend(keeping(lambda _: ERROR)), backend(saying("two"))
    balancer = http(one, two, "--policy", "first")

    answer = balancer.connect().ask(
        f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
    )

    assert (answer.status, answer.body) == (200, b"two")
    assert [request.body for request in two.requests] == [b"ok"]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_not_be_repeated_is_not_asked_twice(http, backend, method: str) -> None:
    one, two = backend(keeping(lambda _: ERROR)), backend(saying("two"))
    balancer = http(one, two, "--policy", "first")

    answer = balancer.connect().ask(f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

    assert (answer.status, answer.body) == (500, b"broken")
    assert two.requests == []


@pytest.mark.parametrize("status", ["400 No", "404 No", "429 No", "501 No", "505 No"])
def test_other_statuses_pass_at_once(fairlead, backend, status: str) -> None:
    one, two = backend(keeping(lambda _: response(b"mine", status))), backend(saying("two"))
    listen = loopback()
    # A backend that a busy machine keeps waiting is late enough for a hedge.
    pool = 'policy = "first"\nretry = { hedge = "off" }'
    balancer = fairlead(config=site(listen, one, two, pool=pool))

    answer = balancer.connect(listen).get()

    assert (answer.status, answer.body) == (int(status[:3]), b"mine")
    assert two.requests == []


def test_an_application_that_answers_with_errors_soon_is_not_asked_twice(http, backend) -> None:
    backends = [backend(keeping(lambda _: ERROR)) for _ in range(2)]
    balancer = http(*backends)

    with balancer.connect() as line:
        assert {line.get().status for _ in range(1000)} == {500}

    assert sum(len(each.requests) for each in backends) <= 1000 * 1.02 + 60


def test_a_large_error_page_is_whole_when_the_second_says_the_same(http, backend) -> None:
    page = bytes(range(256)) * 8000
    one = backend(keeping(lambda _: response(page, "503 No")))
    two = backend(keeping(lambda _: ERROR))
    balancer = http(one, two, "--policy", "first")

    line = balancer.connect()

    assert line.get().body == page
    assert line.get("/again").status == 503
