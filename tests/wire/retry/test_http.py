"""What is sent again, to whom, and what never is."""

from __future__ import annotations

import threading
import time

import pytest

from harness.backend import free_port, keeping, response, saying
from harness.balancer import loopback, wait_for
from harness.config import site

POST = "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\nbody"
GET = "GET / HTTP/1.1\r\nHost: app\r\n\r\n"


def closing(line) -> None:
    """Reads a request and closes without an answer."""
    line.read_request()


def resetting(line) -> None:
    """Reads a request and resets."""
    line.read_request()
    line.reset()


def rubbish(line) -> None:
    """Answers what is not HTTP."""
    line.read_request()
    line.send(b"what?\r\n\r\n")


@pytest.mark.parametrize("play", [closing, resetting, rubbish])
def test_a_get_goes_on_to_another_backend(http, backend, play) -> None:
    bad, good = backend(play), backend(saying("good"))
    balancer = http(bad, good)
    line = balancer.connect()

    answers = [line.get() for _ in range(10)]

    assert {(answer.status, answer.body) for answer in answers} == {(200, b"good")}
    assert len(bad.requests) >= 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
def test_idempotent_methods_are_sent_again(http, backend, method: str) -> None:
    bad, good = backend(closing), backend(saying(""))
    balancer = http(bad, good)

    for _ in range(4):
        with balancer.connect() as line:
            answer = line.ask(f"{method} / HTTP/1.1\r\nHost: app\r\n\r\n")
            assert answer.status in ((200,) if method != "TRACE" else (200, 501))


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
@pytest.mark.parametrize("play", [closing, resetting])
def test_other_methods_are_never_sent_twice(http, backend, play, method: str) -> None:
    bad, good = backend(play), backend(saying("good"))
    balancer = http(bad, good)

    statuses = []
    for _ in range(6):
        with balancer.connect() as line:
            body = f"{method} / HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\nbody"
            statuses.append(line.ask(body).status)

    assert len(bad.requests) + len(good.requests) == 6
    assert statuses.count(502) == len(bad.requests)
    assert len(bad.requests) >= 1


def test_a_post_goes_on_while_nothing_of_it_was_sent(http, backend) -> None:
    good = backend(saying("good"))
    balancer = http(f"127.0.0.1:{free_port()}", good)

    for _ in range(10):
        with balancer.connect() as line:
            assert line.ask(POST).body == b"good"

    assert [request.body for request in good.requests] == [b"body"] * 10


def test_a_body_is_sent_again_whole(http, backend) -> None:
    good = backend(keeping(lambda request: response(request.body)))
    balancer = http(backend(closing), good)

    for size in (1, 1000, 30_000):
        for _ in range(2):
            with balancer.connect() as line:
                head = f"PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: {size}\r\n\r\n"
                assert line.ask(head + "z" * size).body == b"z" * size


def test_a_chunked_body_is_sent_again_whole(http, backend) -> None:
    good = backend(keeping(lambda request: response(request.body)))
    balancer = http(backend(closing), good)

    for _ in range(4):
        with balancer.connect() as line:
            answer = line.ask(
                "PUT / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
            )
            assert answer.body == b"abcdef"


def test_a_body_too_large_to_keep_is_not_sent_again(http, backend) -> None:
    """Bounded memory comes first: such a request fails with its backend."""

    def reads_and_closes(line) -> None:
        head = line.read_head()
        line.read_body(head)

    bad, good = backend(reads_and_closes), backend(saying("good"))
    balancer = http(bad, good, "--policy", "first")
    line = balancer.connect()
    size = 5_000_000
    sender = threading.Thread(
        target=line.send,
        args=(
            f"PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: {size}\r\n\r\n".encode() + b"z" * size,
        ),
    )
    sender.start()

    answer = line.read_response()
    sender.join()

    assert answer.status == 502
    assert answer.reason == "backend_reset"
    assert good.requests == []


def test_nothing_is_sent_again_once_the_answer_began(http, backend) -> None:
    def half(line) -> None:
        line.read_request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    good = backend(saying("good"))
    balancer = http(backend(half), good, "--policy", "first")
    line = balancer.connect()
    line.send(GET)
    line.read_until(b"half")

    with pytest.raises((ConnectionResetError, AssertionError)):
        line.read(96)
    assert good.requests == []


def test_never_the_same_backend_while_an_untried_one_is_left(http, backend) -> None:
    bad = [backend(closing) for _ in range(2)]
    good = backend(saying("good"))
    balancer = http(*bad, good)

    for _ in range(10):
        with balancer.connect() as line:
            assert line.get().status == 200

    for one in bad:
        ids = [request.value("X-Request-Id") for request in one.requests]
        assert len(ids) == len(set(ids))


def test_so_many_backends_are_tried_and_no_more(fairlead, backend) -> None:
    backends = [backend(closing) for _ in range(5)]
    listen = loopback()
    balancer = fairlead(config=site(listen, *backends, pool="retry = { attempts = 3 }"))

    answer = balancer.connect(listen).get()

    assert answer.status == 502
    tried = [len(one.requests) for one in backends]
    assert sorted(tried) == [0, 0, 1, 1, 1]


def test_one_attempt_means_no_retry(fairlead, backend) -> None:
    bad, good = backend(closing), backend(saying("good"))
    listen = loopback()
    balancer = fairlead(
        config=site(listen, bad, good, pool='policy = "first"\nretry = { attempts = 1 }')
    )

    assert balancer.connect(listen).get().status == 502
    assert good.requests == []


def test_an_answer_that_is_late_may_come_from_another_backend(fairlead, backend) -> None:
    """A GET whose backend froze: it times out there, or is hedged, and is answered here."""
    frozen = backend(lambda line: (line.read_request(), line.read_some()))
    good = backend(saying("good"))
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen, frozen, good, pool='policy = "first"\ntimeouts = { response = "500ms" }'
        )
    )

    answer = balancer.connect(listen).get()

    assert (answer.status, answer.body) == (200, b"good")


# --------------------------------------------------------- kept connections that went stale meanwhile


def test_a_kept_connection_that_was_closed_never_costs_an_error(http, backend) -> None:
    """The backend closes each connection some time after its answer."""

    def closes_soon(line) -> None:
        while line.read_request():
            line.send(response(b"ok"))
            if not line.is_silent(0.05):
                continue
            return

    balancer = http(backend(closes_soon))
    line = balancer.connect()

    for pause in (0.0, 0.03, 0.049, 0.05, 0.051, 0.06, 0.1) * 6:
        time.sleep(pause)
        assert line.get().status == 200


def test_a_kept_connection_that_was_closed_never_costs_a_post(http, backend) -> None:
    """Backends that close after 1 s, as they announce. nginx loses 129 to 155 of 480 there."""

    def closes_after_a_second(line) -> None:
        while line.read_request():
            line.send(response(b"ok", headers={"Keep-Alive": "timeout=1"}))
            if line.is_silent(1):
                return

    one = backend(closes_after_a_second)
    balancer = http(one)
    statuses: list[int] = []

    def post(pause: float) -> None:
        line = balancer.connect()
        for _ in range(4):
            statuses.append(line.ask(POST).status)
            time.sleep(pause)

    pauses = [0.0, 0.1, 0.25, 0.5, 0.9, *(0.98 + step / 250 for step in range(12)), 1.1]
    threads = [threading.Thread(target=post, args=(pause,)) for pause in pauses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 4 * len(pauses)
    assert len(one.requests) == len(statuses), "and none was executed twice"


def test_a_connection_closed_at_the_moment_of_reuse_is_no_evidence(http, backend) -> None:
    """It is closed when the second request arrives: the race that no look before can exclude."""

    def drops_the_second(line) -> None:
        line.read_request()
        line.send(response(b"ok"))
        line.peek(1)

    one = backend(drops_the_second)
    balancer = http(one)
    line = balancer.connect()

    for _ in range(20):
        assert line.get().status == 200

    row = balancer.backends()[one.address]
    assert row["health"] in ("healthy", "unknown")
    assert balancer.listener()["reasons"].get("backend_reset", 0) == 0


def test_a_post_that_meets_a_closing_connection_is_not_sent_again(http, backend) -> None:
    """It was read, perhaps executed, and not answered: the client has to be told."""

    def answers_once(line) -> None:
        line.read_request()
        line.send(response(b"ok"))
        line.read_request()

    one = backend(answers_once)
    balancer = http(one, backend(saying("other")), "--policy", "first", "--workers", "1")
    line = balancer.connect()
    line.get()

    answer = line.ask(POST)

    assert (answer.status, answer.reason) == (502, "stale_connection")
    assert [request.method for request in one.requests] == ["GET", "POST"]


def test_a_restarted_backend_costs_nobody_anything(http, backend) -> None:
    one, other = backend(saying("one")), backend(saying("other"))
    balancer = http(one, other)
    lines = [balancer.connect() for _ in range(8)]
    for line in lines:
        assert line.get().status == 200
    one.refuse()
    one.cut()

    for _ in range(5):
        for line in lines:
            assert line.get().body == b"other"


# ----------------------------------------------------------------------- tries on the same backend


def test_a_backend_may_be_tried_again_after_a_delay(fairlead, backend) -> None:
    """The simple Go balancer's rule: 3 tries 10 ms apart, then the others."""
    bad, good = backend(closing), backend(saying("good"))
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen,
            bad,
            good,
            pool='policy = "first"\nretry = { same_backend = 3, delay = "50ms", attempts = 3 }',
        )
    )

    line = balancer.connect(listen)
    started = time.monotonic()
    assert line.get().body == b"good"
    took = time.monotonic() - started
    assert len(bad.requests) == 3
    # As its client sees it: a backend's thread may be late to note the first of two tries.
    assert 0.1 <= took < 5


def test_a_backend_that_comes_back_between_tries_is_used(fairlead, backend) -> None:
    one = backend(saying("back again"))
    one.refuse()
    listen = loopback()
    balancer = fairlead(
        config=site(listen, one, pool='retry = { same_backend = 5, delay = "200ms", attempts = 1 }')
    )
    line = balancer.connect(listen)
    line.send(GET)
    time.sleep(0.3)
    one.listen_again()

    assert line.read_response().body == b"back again"


def test_all_tries_failed_is_503(fairlead) -> None:
    listen = loopback()
    dead = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    balancer = fairlead(
        config=site(
            listen, *dead, pool='retry = { same_backend = 3, delay = "10ms", attempts = 3 }'
        )
    )

    started = time.monotonic()
    answer = balancer.connect(listen).get()

    assert (answer.status, answer.reason) == (503, "connect_refused")
    assert time.monotonic() - started < 2


# ------------------------------------------------------------------- when a backend is found down


def test_a_request_whose_only_backend_is_found_down_stays_with_it(fairlead, backend) -> None:
    """There is nobody to move to: an answer that comes after all is better than an error."""
    slow, check_fails = threading.Event(), threading.Event()

    def play(line) -> None:
        while request := line.read_request():
            if request.target == "/check" and check_fails.is_set():
                line.read_some()
                return
            if request.target == "/slow":
                slow.wait(10)
            line.send(response(b"after all"))

    only = backend(play)
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen,
            only,
            check='type = "http", path = "/check", interval = "100ms", timeout = "200ms", fall = 2',
            pool='timeouts = { response = "20s" }',
        )
    )
    balancer.wait_for_health(only.address, "healthy")
    line = balancer.connect(listen)
    line.send("GET /slow HTTP/1.1\r\nHost: app\r\n\r\n")
    wait_for(lambda: any(request.target == "/slow" for request in only.requests))
    check_fails.set()
    balancer.wait_for_health(only.address, "down")

    late = balancer.connect(listen).get()
    assert (late.status, late.reason) == (503, "no_backend"), "nobody new is sent there"
    slow.set()
    assert line.read_response().body == b"after all"


def test_a_request_that_may_not_try_again_is_answered_when_its_backend_is_down(
    fairlead, backend
) -> None:
    """Not after the 20 s that an answer may take, but when the checks have failed."""
    check_fails = threading.Event()

    def play(line) -> None:
        while request := line.read_request():
            if request.target != "/check" or check_fails.is_set():
                line.read_some()
                return
            line.send(response(b"well"))

    first, other = backend(play), backend(saying("other"))
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen,
            first,
            other,
            check='type = "http", path = "/check", interval = "100ms", timeout = "200ms", fall = 2',
            pool=(
                'policy = "first"\nretry = { attempts = 1, hedge = "off" }\n'
                'timeouts = { response = "20s" }'
            ),
        )
    )
    balancer.wait_for_health(first.address, "healthy")
    line = balancer.connect(listen)
    line.send(GET)
    wait_for(lambda: any(request.target == "/" for request in first.requests))
    check_fails.set()

    answer = line.read_response()

    assert (answer.status, answer.reason) == (503, "backend_down")


def test_requests_of_a_backend_found_down_move_on(fairlead, backend) -> None:
    """A frozen process: its checks fail, and what waits on it is answered by another."""
    from harness.config import table

    frozen_now = threading.Event()

    def play(line) -> None:
        while request := line.read_request():
            if frozen_now.is_set():
                line.read_some()
                return
            line.send(response(request.target.encode()))

    frozen, good = backend(play), backend(saying("good"))
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen,
            frozen,
            table(good, group=1),
            check='type = "http", path = "/check", interval = "200ms", timeout = "200ms", fall = 2',
            pool='retry = { hedge = "off" }\ntimeouts = { response = "20s" }',
        )
    )
    balancer.wait_for_health(frozen.address, "healthy")
    line = balancer.connect(listen)
    assert line.get("/before").body == b"/before"
    frozen_now.set()
    started = time.monotonic()

    answer = line.get("/during")

    assert answer.body == b"good"
    assert time.monotonic() - started < 5
    wait_for(lambda: balancer.backends()[frozen.address]["health"] == "down")
