"""Hosts that swallow packets: Last.fm's scenario and its kin, in network namespaces.

A black hole looks like nothing at all: no reset, no error, only silence. Last.fm's balancers
waited 5 s for each connect to one, longer than their clients waited for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from harness.backend import echo, keeping, naming_lines, response, saying
from harness.balancer import Balancer, loopback, wait_for
from harness.config import site, table
from harness.line import dial
from harness.standstill import at_best
from harness.traffic import Traffic, by_http, by_tcp, in_turn, learn

pytestmark = pytest.mark.root


@pytest.fixture
def pair(fairlead, backend, host):
    """Two hosts, the second behind `!`, and fairlead in front of them."""

    def start(
        protocol: str, check: str
    ) -> tuple[Balancer, str, Callable, Callable, object, object]:
        first, second = host(), host()
        play = saying if protocol == "http" else naming_lines
        one = backend(play(b"first"), first.listener())
        two = backend(play(b"second"), second.listener())
        listen = loopback()
        balancer = fairlead(
            config=site(listen, one, table(two, group=1), protocol=protocol, check=check)
        )
        return balancer, listen, one, two, first, second

    return start


@pytest.mark.alone  # its bounds are what is promised
@pytest.mark.parametrize("protocol", ["tcp", "http"])
def test_last_fm(pair, protocol: str) -> None:
    """One host swallows packets; a backup stands behind `!`.

    No client sees an error; no connection after the first few is slow; monitoring takes the host
    out, and brings it back when it is well.
    """
    ask = by_http() if protocol == "http" else by_tcp
    failures: list[object] = []

    def measure() -> None:
        balancer, listen, one, _, first, _ = pair(
            protocol, 'type = "tcp", interval = "500ms", timeout = "500ms", rise = 2, fall = 2'
        )
        learn(listen, ask, b"first")

        first.swallow()
        with Traffic(listen, 50, ask) as during:
            balancer.wait_for_health(one.address, "down")
        with Traffic(listen, 50, ask) as later:
            time.sleep(0.5)
        first.heal()
        balancer.wait_for_health(one.address, "healthy", patience=10)
        with Traffic(listen, 50, ask) as after:
            wait_for(lambda: after.answers.count(b"first") > 20)

        failures.extend(during.failures + later.failures + after.failures)
        assert set(later.answers) == {b"second"}
        events = [event for event in balancer.events() if event["event"] == "health"]
        assert any(event["to"] == "down" and "check" in event["why"] for event in events)
        assert events[-1]["to"] == "healthy"
        assert during.slow == 0, sorted(during.times)[-10:]
        assert during.answers.count(b"second") > 0.7 * during.whole
        assert later.slowest < 0.1, "it is out: nobody waits for it any more"

    at_best(measure)
    assert failures == []


@pytest.mark.parametrize("protocol", ["tcp", "http"])
def test_without_any_check_traffic_alone_finds_out(pair, protocol: str) -> None:
    balancer, listen, one, _, first, _ = pair(protocol, 'type = "none"')
    ask = by_http() if protocol == "http" else by_tcp
    learn(listen, ask, b"first", rate=20)

    first.swallow()
    with Traffic(listen, 20, ask) as during:
        balancer.wait_for_health(one.address, "suspect", "down")
        time.sleep(0.5)
    assert during.failures == []
    assert during.slow <= 1

    first.heal()
    with Traffic(listen, 20, ask):
        wait_for(lambda: balancer.backends()[one.address]["health"] == "healthy", 25)


@pytest.mark.alone  # its bounds are what is promised
def test_one_of_two_in_the_same_group(fairlead, backend, host) -> None:
    """Nobody's slowest of twelve new connections is under 300 ms elsewhere; here it is."""
    first, second = host(), host()
    one = backend(naming_lines(b"first"), first.listener())
    two = backend(naming_lines(b"second"), second.listener())
    listen = loopback()
    fairlead(config=site(listen, one, two, protocol="tcp", check='type = "tcp", interval = "1s"'))
    learn(listen, by_tcp, b"first", b"second")

    second.swallow()
    seen = in_turn(listen, by_tcp, 12)

    assert seen.failures == []
    assert set(seen.answers) == {b"first"}
    assert seen.slowest < 0.3, seen.times


def test_requests_on_kept_connections_to_a_host_that_goes_black(fairlead, backend, host) -> None:
    """Sent, never acknowledged, never answered: repeatable requests go elsewhere."""
    first, second = host(), host()
    one = backend(saying("first"), first.listener())
    two = backend(saying("second"), second.listener())
    listen = loopback()
    check = 'type = "http", path = "/", interval = "500ms", timeout = "500ms", fall = 2'
    balancer = fairlead(config=site(listen, one, two, check=check))
    lines = [dial(listen) for _ in range(8)]
    for line in lines * 3:
        assert line.get().status == 200

    first.swallow()
    started = time.monotonic()
    for line in lines:
        line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    for line in lines:
        assert line.read_response().body == b"second"
    took = time.monotonic() - started

    assert took < 4, "far less than the 30 s that an answer may take"
    balancer.wait_for_health(one.address, "down")


def test_a_post_is_never_executed_twice_whatever_is_lost(fairlead, backend, host) -> None:
    """The way back is lost: the backend executes what it can't acknowledge."""
    first, second = host(), host()
    executed: list[str] = []
    lock = threading.Lock()

    def answer(request) -> bytes:
        with lock:
            executed.append(request.body.decode())
        return response(b"ok")

    one = backend(keeping(answer), first.listener())
    two = backend(keeping(answer), second.listener())
    listen = loopback()
    config = site(listen, one, two, check='type = "none"', pool='timeouts = { response = "2s" }')
    fairlead(config=config)

    results: list[int] = []

    def post(number: int) -> None:
        try:
            with dial(listen) as line:
                body = f"{number:06d}"
                head = "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 6\r\n\r\n"
                results.append(line.ask(head + body).status)
        except (OSError, AssertionError):
            results.append(0)

    threads = []
    for number in range(150):
        thread = threading.Thread(target=post, args=(number,))
        thread.start()
        threads.append(thread)
        if number == 50:
            # Only what leaves the host is lost: requests still arrive there.
            first.mute()
        time.sleep(0.01)
    for thread in threads:
        thread.join(15)

    assert len(executed) == len(set(executed))
    assert results.count(200) > 90


@pytest.mark.alone  # its bounds are what is promised
def test_a_host_that_is_unplugged(fairlead, backend, host) -> None:
    """ARP fails: connects end in `no route to host` after seconds; nobody waits for that."""
    first, second = host(), host()
    one = backend(naming_lines(b"first"), first.listener())
    two = backend(naming_lines(b"second"), second.listener())
    listen = loopback()
    fairlead(
        config=site(listen, one, two, protocol="tcp", check='type = "tcp", interval = "500ms"')
    )
    in_turn(listen, by_tcp, 10)

    first.unplug()
    seen = in_turn(listen, by_tcp, 20)

    assert seen.failures == []
    assert seen.slowest < 0.5, seen.times


@pytest.mark.alone  # its bounds are what is promised
def test_a_host_that_says_unreachable(fairlead, backend, host) -> None:
    first, second = host(), host()
    one = backend(naming_lines(b"first"), first.listener())
    two = backend(naming_lines(b"second"), second.listener())
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, protocol="tcp", check='type = "none"'))

    first.reject()
    seen = in_turn(listen, by_tcp, 20)

    assert seen.failures == []
    assert seen.slowest < 0.3, seen.times
    assert balancer.backends()[one.address]["health"] in ("suspect", "down")


def test_a_host_that_says_unreachable_and_nobody_else(fairlead, backend, host) -> None:
    only = host()
    one = backend(saying("never"), only.listener())
    listen = loopback()
    fairlead(config=site(listen, one, check='type = "none"'))

    only.reject()
    answer = dial(listen).get()

    assert (answer.status, answer.reason) == (503, "connect_failed")


def test_lost_packets_cost_latency_and_no_error(fairlead, backend, host) -> None:
    """A third of the packets to one host are lost."""
    first, second = host(), host()
    one = backend(saying("first"), first.listener())
    two = backend(saying("second"), second.listener())
    listen = loopback()
    fairlead(config=site(listen, one, two, check='type = "tcp", interval = "500ms"'))

    first.lose(33)
    with Traffic(listen, 40, by_http()) as seen:
        time.sleep(1.5)

    assert seen.failures == []


def test_a_process_that_freezes(fairlead, backend, host) -> None:
    """The kernel goes on accepting and acknowledging; only answers fail to come."""
    first, second = host(), host()
    frozen = threading.Event()
    thaw = threading.Event()

    def play(line) -> None:
        while line.read_request():
            if frozen.is_set():
                thaw.wait(20)
            line.send(response(b"first"))

    one = backend(play, first.listener())
    two = backend(saying("second"), second.listener())
    listen = loopback()
    check = 'type = "http", path = "/", interval = "500ms", timeout = "500ms", fall = 2'
    balancer = fairlead(config=site(listen, one, two, check=check))
    with Traffic(listen, 20, by_http()) as before:
        time.sleep(0.6)
    assert before.failures == []

    frozen.set()
    with Traffic(listen, 20, by_http()) as during:
        balancer.wait_for_health(one.address, "down")
    assert during.failures == []
    assert during.slow < 20

    thaw.set()
    frozen.clear()
    balancer.wait_for_health(one.address, "healthy", patience=15)


def test_long_transfers_on_a_well_host_are_not_disturbed(fairlead, backend, host) -> None:
    """A neighbour goes black; a long download from another host runs on."""
    first, second = host(), host()
    one = backend(saying("first"), first.listener())
    size = 50_000_000

    def large(line) -> None:
        while line.read_request():
            line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(50):
                line.send(b"x" * (size // 50))
                time.sleep(0.02)

    two = backend(large, second.listener())
    listen = loopback()
    fairlead(
        config=site(listen, two, table(one, group=1), check='type = "tcp", interval = "500ms"')
    )
    line = dial(listen)
    line.patience = 20
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    head = line.read_head()
    first.swallow()

    assert len(line.read_body(head).body) == size


def test_a_tunnel_to_a_host_that_goes_black_ends(fairlead, backend, host) -> None:
    """Data that nobody acknowledges is no traffic; Envoy #10301 tells of 20 minutes."""
    first = host()
    one = backend(echo, first.listener())
    listen = loopback()
    fairlead(
        config=site(
            listen,
            one,
            protocol="tcp",
            check='type = "none"',
            listener='timeouts = { idle = "2s" }',
        )
    )
    line = dial(listen)
    line.send(b"x")
    assert line.read(1) == b"x"
    first.swallow()
    line.send(b"into the void")
    started = time.monotonic()

    assert line.is_closed(patience=20)
    assert time.monotonic() - started < 20
