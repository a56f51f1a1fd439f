"""All places are taken: idle connections make room, newcomers get 503, nobody else is harmed."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from harness.backend import keeping, response, saying
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.line import Line, dial
from harness.standstill import Standstill

GET = "GET / HTTP/1.1\r\nHost: app\r\n\r\n"


@pytest.fixture
def limited(fairlead, backend):
    """A listener with these limits before a backend that says hello; further lines of the file."""

    def start(limits: str, more: str = "", **rest):
        listen = loopback()
        listener = f"limits = {{ {limits} }}" if limits else ""
        # Backends are let go of soon, so that nothing is left to be open when all clients are gone.
        pool = 'timeouts = { keepalive = "1s" }'
        config = site(listen, backend(saying("hello")), listener=listener, pool=pool, more=more)
        return fairlead(config=config, **rest), listen

    return start


def reasons(balancer) -> dict[str, int]:
    return dict(balancer.listener("web")["reasons"])


def refused(address: str, source: str | None = None) -> str | None:
    """The reason that a newcomer is refused for; ``None`` if it is served."""
    with dial(address, source) as line:
        line.send(GET)
        answer = line.read_response()
        assert answer.status in (200, 503)
        if answer.status == 503:
            assert answer.value("Retry-After")
            assert line.is_closed()
        return answer.reason


@pytest.mark.alone  # who was at a request within the last second stays: that second is the promise
def test_an_idle_connection_makes_room_for_a_newcomer(limited) -> None:
    balancer, listen = limited("connections = 4")
    kept = [balancer.connect(listen) for _ in range(4)]
    for line in kept:
        assert line.get().status == 200

    assert refused(listen) == "listener_full", "who was at a request a moment ago stays"
    time.sleep(1.2)
    with balancer.connect(listen) as newcomer:
        assert newcomer.get().status == 200
        # Its worker need not be the newcomer's.
        gone = wait_for(lambda: [line for line in kept if not line.is_silent(0.05)])

        assert len(gone) == 1
        assert gone[0].is_closed()
    wait_for(lambda: reasons(balancer).get("made_room") == 1)
    for line in kept:
        line.close()
    wait_for(lambda: balancer.listener()["connections_active"] == 0)


def test_a_request_under_way_is_never_closed_for_a_newcomer(fairlead, backend) -> None:
    go = threading.Event()
    slow = backend(keeping(lambda _: response(b"late") if go.wait(10) else None))
    listen = loopback()
    balancer = fairlead(config=site(listen, slow, listener="limits = { connections = 1 }"))
    line = balancer.connect(listen)
    line.send(GET)
    wait_for(lambda: slow.requests)
    time.sleep(1.2)

    assert refused(listen) == "listener_full"
    go.set()
    assert line.read_response().body == b"late"


def test_one_address_has_so_many_places(limited) -> None:
    balancer, listen = limited("connections_per_client = 2")
    lines = [dial(listen, "127.0.0.2") for _ in range(2)]
    for line in lines:
        assert line.get().status == 200

    assert refused(listen, "127.0.0.2") == "client_full"
    assert refused(listen, "127.0.0.3") is None, "others have places of their own"
    lines.pop().close()
    wait_for(lambda: refused(listen, "127.0.0.2") is None)
    assert reasons(balancer)["client_full"] >= 1


def test_all_listeners_share_the_places_of_the_instance(fairlead, backend) -> None:
    go = threading.Event()
    slow = backend(keeping(lambda _: response(b"late") if go.wait(10) else None))
    first, second = loopback(), loopback()
    more = f'[listeners.other]\nbind = "{second}"\npool = "app"\n[limits]\nconnections = 2'
    balancer = fairlead(config=site(first, slow, more=more))
    lines = [balancer.connect(first), balancer.connect(second)]
    for line in lines:
        line.send(GET)
    wait_for(lambda: len(slow.requests) == 2)

    assert refused(first) == refused(second) == "balancer_full"
    go.set()
    for line in lines:
        assert line.read_response().body == b"late"
    lines[1].close()
    wait_for(lambda: refused(first) is None)


def test_the_last_request_of_a_connection_ends_it(limited) -> None:
    balancer, listen = limited("requests = 3")
    line = balancer.connect(listen)
    closes = [line.get().value("Connection") for _ in range(3)]

    assert closes == [None, None, "close"]
    assert line.is_closed()
    assert balancer.connect(listen).get().status == 200


def test_it_is_told_once_when_it_is_full_and_once_when_there_is_room(fairlead, backend) -> None:
    go = threading.Event()
    slow = backend(keeping(lambda _: response(b"late") if go.wait(10) else None))
    listen = loopback()
    balancer = fairlead(config=site(listen, slow, listener="limits = { connections = 1 }"))

    def told() -> list[bool]:
        return [each["full"] for each in balancer.events() if each["event"] == "full"]

    with balancer.connect(listen) as line:
        line.send(GET)
        wait_for(lambda: slow.requests)
        for _ in range(5):
            assert refused(listen) == "listener_full"
        wait_for(told)
        assert told() == [True]
        go.set()
        assert line.read_response().body == b"late"
    # By the first newcomer that is let in when nobody was refused for a second.
    wait_for(lambda: refused(listen) is None and len(told()) > 1)

    assert told() == [True, False]
    assert reasons(balancer)["listener_full"] >= 5
    assert (
        'fairlead_errors_total{listener="web",reason="listener_full"}'
        in balancer.text("/metrics")[1]
    )


# ------------------------------------------------------------------------------- few descriptors


class Regulars:
    """Clients that ask again and again, on connections that they keep."""

    def __init__(self, listen: str, count: int) -> None:
        self._lines = [dial(listen) for _ in range(count)]
        self._ended = threading.Event()
        self.answers = 0
        self.failures: list[object] = []
        self._ask()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _ask(self) -> None:
        for line in self._lines:
            try:
                status = line.get().status
                self.answers += status == 200
                if status != 200:
                    self.failures.append(status)
            except (OSError, AssertionError) as error:
                self.failures.append(error)

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            self._ask()

    def end(self) -> list[Line]:
        """They have nothing more to ask; their connections."""
        self._ended.set()
        self._thread.join()
        return self._lines


@pytest.mark.alone  # how soon it serves again, and how it rests, is measured
@pytest.mark.parametrize("limits", ["", "connections = 100000"])
def test_a_thousand_clients_of_256_descriptors(limited, limits: str) -> None:
    """No crash, those who are in are served, it rests while it waits, and nothing leaks."""
    balancer, listen = limited(limits, files_max=256)
    before = balancer.open_files()
    assert refused(listen) is None
    regulars = Regulars(listen, 20)
    crowd: list[Line] = []
    for _ in range(980):
        with contextlib.suppress(OSError):
            crowd.append(balancer.connect(listen))
    asked = regulars.answers
    wait_for(lambda: regulars.answers >= asked + 20)

    assert balancer.status()["workers"] > 0, "the control socket is not lost"
    lines = regulars.end()
    assert regulars.failures == []
    cpu = balancer.cpu_seconds()
    time.sleep(2)
    assert (balancer.cpu_seconds() - cpu) / 2 < 0.02, "it rests"

    for line in crowd + lines:
        line.close()
    with Standstill() as still:
        released = time.monotonic()
        wait_for(lambda: _is_served(listen))
        took = time.monotonic() - released
    assert took < 1 + still.longest
    wait_for(lambda: balancer.listener()["connections_active"] == 0)
    wait_for(lambda: balancer.open_files() == before, 10, lambda: f"{balancer.open_files()}")
    assert not [each for each in balancer.events() if each["event"] == "panic"]


def test_the_last_descriptors_are_for_checks_and_for_those_who_look_after_it(
    fairlead, backend
) -> None:
    """Each client has one for a backend as well, all at a time; there aren't as many."""
    go = threading.Event()
    slow = backend(keeping(lambda _: response(b"late") if go.wait(20) else None))
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen,
            slow,
            check='type = "tcp", interval = "200ms"',
            listener="limits = { connections = 100000 }",
            pool='retry = { attempts = 1, hedge = "off" }',
        ),
        files_max=256,
    )
    crowd = []
    for _ in range(250):
        with contextlib.suppress(OSError):
            line = balancer.connect(listen)
            line.send(GET)
            crowd.append(line)
    wait_for(lambda: reasons(balancer).get("out_of_resources", 0) > 0)
    checks = balancer.backends()[slow.address]

    wait_for(lambda: balancer.backends()[slow.address]["checks_passed"] > checks["checks_passed"])
    assert balancer.backends()[slow.address]["checks_failed"] == checks["checks_failed"] == 0
    assert balancer.backends()[slow.address]["health"] == "healthy"
    go.set()
    statuses = []
    for line in crowd:
        with contextlib.suppress(OSError, AssertionError):
            statuses.append(line.read_response().status)
        line.close()
    assert statuses.count(200) >= 60, "who had a backend gets its answer"
    assert set(statuses) == {200, 503}
    wait_for(lambda: _is_served(listen))


def _is_served(listen: str) -> bool:
    try:
        return refused(listen) is None
    except (OSError, AssertionError):
        return False
