"""Applications that break in odd ways while their hosts are well.

The check page says one thing and the rest another, or connections end in the middle of what they
carry. Each fault lasts long enough to be noticed; `make bench-failover` plays them for longer.
"""

from __future__ import annotations

import threading
import time

import pytest

from harness.backend import naming_lines, response, saying
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.line import Line
from harness.traffic import Seen, Traffic, by_http, by_tcp, learn, numbered

pytestmark = pytest.mark.root

RATE = 50
WELL = response(b"well")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"


class Application:
    """An http backend whose `mode` can be changed while it runs. Its check page stays well."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.mode = "well"
        self._changed = threading.Condition()

    def turn(self, mode: str) -> None:
        """From now on, also in connections that wait."""
        with self._changed:
            self.mode = mode
            self._changed.notify_all()

    def _stay(self, seconds: float) -> None:
        """Wait, at most until the mode changes."""
        mode = self.mode
        with self._changed:
            self._changed.wait_for(lambda: self.mode != mode, seconds)

    def __call__(self, line: Line) -> None:
        """Play a connection."""
        while self.mode != "close" and (request := line.read_request()):
            if request.target == "/healthz":
                line.send(response(b"", "503 No") if self.mode == "sick" else WELL)
            elif self.mode == "half head":
                line.send(HEAD[:25])
                self._stay(10)
                return
            elif self.mode == "half body":
                line.send(HEAD + b"x" * 1000)
                self._stay(10)
                return
            elif self.mode == "errors":
                line.send(response(b"", "503 No"))
            elif self.mode == "late":
                self._stay(2)
                line.send(response(self.name))
            else:
                line.send(response(self.name))


@pytest.fixture
def pair(fairlead, backend, host):
    """fairlead before a well application and one that can be turned; http."""

    def start(check: str = 'type = "http", path = "/healthz", interval = "500ms"'):
        first, second = host(), host()
        application = Application(b"two")
        one = backend(saying("one"), first.listener())
        two = backend(application, second.listener(backlog=2))
        listen = loopback()
        balancer = fairlead(config=site(listen, one, two, check=check))
        learn(listen, by_http(), b"one", b"two", rate=RATE)
        return balancer, listen, application, two, second

    return start


def during(listen: str, seconds: float, ask=None) -> Seen:
    """What clients see from now on."""
    with Traffic(listen, RATE, ask or by_http()) as seen:
        time.sleep(seconds)
    return seen


def at_once(seen: Seen) -> int:
    """How many of one of two backends came together, as they were due while nobody could run."""
    return round(seen.stall * RATE / 2)


@pytest.mark.parametrize("mode", ["half head", "errors", "late", "sick", "close"])
def test_what_an_application_gets_wrong_another_one_answers(pair, mode: str) -> None:
    _, listen, application, two, _ = pair()
    application.turn(mode)
    if mode == "close":
        two.cut()

    seen = during(listen, 1.2)

    assert seen.failures == []
    assert seen.slow <= max(5, seen.whole // 8), sorted(seen.times)[-20:]
    if mode != "sick":
        # What it still gets are trials, which cost nobody anything.
        assert two.requests != []
        assert seen.answers.count(b"two") <= seen.whole // 10
    application.turn("well")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_bodies_up_to_64_kib_are_sent_again(pair, method: str) -> None:
    _, listen, application, two, _ = pair()
    application.turn("close")
    two.cut()

    seen = during(listen, 0.7, by_http(method, 65_536))

    assert seen.failures == []


@pytest.mark.alone  # its bounds are what is promised
@pytest.mark.parametrize(("method", "size"), [("PUT", 65_536), ("DELETE", 0)])
def test_what_must_not_be_in_two_places_at_once_is_cut_off_one_that_is_late(
    pair, method: str, size: int
) -> None:
    """Its application answers after 2 s, its check page at once; clients wait for 1 s."""
    balancer, listen, application, _, _ = pair()
    assert during(listen, 0.4, by_http(method, size)).failures == []
    application.turn("late")

    seen = during(listen, 1.5, by_http(method, size))

    assert seen.failures == []
    assert seen.slowest < 1, sorted(seen.times)[-20:]
    assert seen.slow <= max(5, seen.whole // 8), sorted(seen.times)[-20:]
    assert balancer.status()["pools"][0]["steps"]["moved"]["silent"] >= 1
    application.turn("well")


def test_half_an_answer_and_then_silence_is_found_out_by_those_who_leave(pair) -> None:
    """Clients give up after 0.8 s; nothing that was begun can be taken back."""
    balancer, listen, application, two, _ = pair()

    def impatient(line: Line) -> bytes:
        line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
        line.patience = 0.8
        return line.read_response().body

    def asked() -> int:
        """How many requests it has had, without checks: of those there are more now than ever."""
        return sum(request.target == "/" for request in two.requests)

    application.turn("half body")
    first = during(listen, 1.6, impatient)
    before = asked()
    later = during(listen, 2, impatient)

    assert first.failures != []
    # Trials, each a second at least after the one before has ended: three at most. And whatever is
    # hedged because a busy machine makes the other one late: 2 %, and five saved up.
    assert asked() - before <= later.whole // 10
    assert len(later.failures) <= later.whole // 10
    whys = [event["why"] for event in balancer.events() if event["event"] == "health"]
    assert any("answer stalled" in why for why in whys), whys
    application.turn("well")


def test_a_process_that_accepts_no_more(pair) -> None:
    """The kernel completes as many connects as its queue holds; then it drops them."""
    balancer, listen, _, two, _ = pair()
    two.deafen()

    seen = during(listen, 1.5)

    assert seen.failures == []
    assert seen.slow <= max(5, seen.whole // 8), sorted(seen.times)[-20:]
    balancer.wait_for_health(two.address, "suspect", "down")
    two.hear()
    # If somebody's request was late there while others were answered, no check takes that back: it
    # takes traffic.
    with Traffic(listen, RATE, by_http()):
        balancer.wait_for_health(two.address, "healthy")


def test_a_host_that_reboots(pair) -> None:
    """Silence, then RST on what it no longer knows, then refusals, then slow at first."""
    balancer, listen, application, two, host = pair()
    host.swallow()
    seen = [during(listen, 1)]
    two.cut()
    two.refuse()
    host.heal()
    seen.append(during(listen, 0.5))
    application.turn("late")
    two.listen_again(host.listener(backlog=2))
    seen.append(during(listen, 0.7))
    application.turn("well")

    assert [each.failures for each in seen] == [[], [], []]
    assert sum(each.slow for each in seen) <= 12, [sorted(each.times)[-5:] for each in seen]

    def well() -> bool:
        during(listen, 0.2)
        return balancer.backends()[two.address]["health"] == "healthy"

    # What traffic found out traffic takes back: without any nobody would try it.
    wait_for(well, 15)
    assert b"two" in during(listen, 0.2).answers


def test_posts_are_executed_at_most_once_and_lost_only_on_their_way(fairlead, backend, host):
    """A process is killed under POSTs: those that it had taken are lost, no others."""
    first, second = host(), host()
    executed: list[bytes] = []
    taken: list[bytes] = []
    lock = threading.Lock()
    dying = threading.Event()

    def well(line: Line) -> None:
        while request := line.read_request():
            with lock:
                executed.append(request.body)
            line.send(response(b"ok"))

    def dies(line: Line) -> None:
        while request := line.read_request():
            with lock:
                (taken if dying.is_set() else executed).append(request.body)
            if dying.is_set():
                # Executed for all that anybody knows, and never answered.
                line.reset()
                return
            line.send(response(b"ok"))

    one = backend(well, first.listener())
    two = backend(dies, second.listener())
    listen = loopback()
    fairlead(config=site(listen, one, two, check='type = "tcp", interval = "500ms"'))
    sent: list[int] = []
    with Traffic(listen, RATE, numbered(sent)) as seen:
        time.sleep(0.7)
        dying.set()
        time.sleep(0.8)
        two.refuse()
        time.sleep(0.5)

    assert len(set(executed + taken)) == len(executed + taken), "one was executed twice"
    assert len(seen.failures) == len(taken), "exactly those that it took are lost"
    assert len(taken) <= 12 + at_once(seen), "a backend that resets is found out"
    assert len(seen.times) == len(sent) - len(taken)
    assert len(executed) == len(seen.times)


def test_tcp_connections_that_end_at_once_go_elsewhere_while_nothing_was_said(
    fairlead, backend, host
) -> None:
    """Refused connects cost a tcp client nothing; nor does a process that is killed."""
    first, second = host(), host()

    one = backend(naming_lines(b"one"), first.listener())
    two = backend(naming_lines(b"two"), second.listener())
    listen = loopback()
    fairlead(config=site(listen, one, two, protocol="tcp", check='type = "tcp"'))
    assert during(listen, 0.5, by_tcp).failures == []
    two.refuse()

    seen = during(listen, 1, by_tcp)

    assert seen.failures == []
    assert set(seen.answers) == {b"one"}


def test_a_tcp_backend_that_closes_without_a_word_is_found_out(fairlead, backend, host) -> None:
    """Its connects are fine, so no check sees it; two in a row are enough while others answer."""
    first, second = host(), host()
    closes = threading.Event()

    def play(line: Line) -> None:
        while not closes.is_set() and line.read_some():
            line.send(b"two\r\n")

    def well(line: Line) -> None:
        while line.read_some():
            line.send(b"one\r\n")

    one = backend(well, first.listener())
    two = backend(play, second.listener())
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, protocol="tcp", check='type = "tcp"'))
    learn(listen, by_tcp, b"one", b"two", rate=RATE)
    closes.set()
    two.cut()

    seen = during(listen, 1.2, by_tcp)

    assert 1 <= len(seen.failures) <= 10 + at_once(seen), "learnt within ten cases"
    assert "closed without an answer" in " ".join(
        event["why"] for event in balancer.events() if event["event"] == "health"
    )
