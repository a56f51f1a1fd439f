"""Networks that break in odd ways: one direction, large packets, one of two paths, many hosts.

Each fault lasts long enough to be noticed and short enough for every run of the tests;
`make bench-failover` plays the same ones for longer, beside other balancers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from harness.backend import keeping, naming_lines, response
from harness.balancer import Balancer, loopback, wait_for
from harness.config import site
from harness.lab import Host
from harness.traffic import Seen, Traffic, by_http, by_tcp

pytestmark = pytest.mark.root

RATE = 40
PLENTY = b"x" * 2000
"""More than a small packet holds."""


def naming(name: bytes):
    """An http backend that answers with its name and 2,000 bytes; its check page is small."""

    def answer(request) -> bytes:
        return response(b"well" if request.target == "/healthz" else name + PLENTY)

    return keeping(answer)


class Both:
    """The same hosts behind an http and a tcp listener, and clients of both."""

    def __init__(self, fairlead, backend, hosts: list[Host]) -> None:
        names = [b"one", b"two", b"three"]
        web = [
            backend(naming(name), host.listener(9000))
            for name, host in zip(names, hosts, strict=False)
        ]
        raw = [
            backend(naming_lines(name), host.listener(9001))
            for name, host in zip(names, hosts, strict=False)
        ]
        self.listens = [loopback(), loopback()]
        often = 'interval = "500ms", timeout = "500ms", fall = 2'
        checks = [f'type = "http", path = "/healthz", {often}', f'type = "tcp", {often}']
        self.balancers: list[Balancer] = [
            fairlead(config=site(listen, *backends, check=check, protocol=protocol))
            for listen, backends, check, protocol in zip(
                self.listens, (web, raw), checks, ("http", "tcp"), strict=True
            )
        ]
        self.backends = [web, raw]
        # Learn what is usual.
        self.ask(0.4)

    def ask(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> list[Seen]:
        """Traffic of both kinds for so long; what http clients saw and what tcp clients saw."""
        with ExitStack() as both:
            seen = [
                both.enter_context(Traffic(listen, RATE, ask))
                for listen, ask in zip(self.listens, (by_http(), by_tcp), strict=True)
            ]
            meanwhile()
            time.sleep(seconds)
        return seen


@pytest.fixture
def both(fairlead, backend, host):
    """`Both` before so many hosts, which it answers too."""

    def make(count: int) -> tuple[Both, list[Host]]:
        hosts = [host() for _ in range(count)]
        return Both(fairlead, backend, hosts), hosts

    return make


def few_slow(seen: Seen) -> bool:
    """A fault may be felt by those that meet it first; a busy machine is slow by itself."""
    return seen.slow <= max(5, seen.whole // 8)


@pytest.mark.parametrize("fault", ["deafen", "mute", "lose_half_of_connections"])
def test_what_is_lost_on_the_way_costs_nobody_an_answer(both, fault: str) -> None:
    pair, hosts = both(2)

    web, raw = pair.ask(1.2, getattr(hosts[1], fault))

    assert web.failures == []
    assert raw.failures == []
    assert few_slow(web), sorted(web.times)[-20:]
    assert few_slow(raw), sorted(raw.times)[-20:]


def test_a_path_that_loses_large_packets_only(both) -> None:
    """Connects and checks are small and go well; answers never arrive."""
    pair, hosts = both(2)

    web, _ = pair.ask(1.6, hosts[1].lose_large)

    assert web.failures == []
    assert few_slow(web), sorted(web.times)[-20:]
    late = web.answers[len(web.answers) // 2 :]
    assert sum(answer.startswith(b"two") for answer in late) == 0


def test_two_of_three_hosts_gone_at_once(both) -> None:
    trio, hosts = both(3)

    def gone() -> None:
        hosts[1].swallow()
        hosts[2].swallow()

    web, raw = trio.ask(1.2, gone)

    assert web.failures == []
    assert raw.failures == []
    assert few_slow(web), sorted(web.times)[-20:]
    assert few_slow(raw), sorted(raw.times)[-20:]


def test_all_gone_and_back(both) -> None:
    """While nobody is there, everybody is told at once; the first that is back is used."""
    pair, hosts = both(2)
    for host in hosts:
        host.swallow()
    for balancer, backends in zip(pair.balancers, pair.backends, strict=True):
        for backend in backends:
            balancer.wait_for_health(backend.address, "down", patience=15)
    started = time.monotonic()
    answer = pair.balancers[0].connect(pair.listens[0]).get()
    assert (answer.status, answer.reason) == (503, "no_backend")
    assert time.monotonic() - started < 1

    hosts[0].heal()
    healed = time.monotonic()
    for balancer, backends in zip(pair.balancers, pair.backends, strict=True):
        balancer.wait_for_health(backends[0].address, "healthy", patience=10)
    assert time.monotonic() - healed < 4, "it is 1.3 s where nothing else runs"
    web, raw = pair.ask(0.5)
    assert web.failures == []
    assert raw.failures == []
    # The other one as well, with nobody asking.
    hosts[1].heal()
    wait_for(
        lambda: pair.balancers[0].backends()[pair.backends[0][1].address]["health"] == "healthy"
    )
