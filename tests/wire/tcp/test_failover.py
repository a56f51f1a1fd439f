"""tcp: a backend that can't be reached costs latency, never the connection."""

from __future__ import annotations

import time

import pytest

from harness.backend import echo, free_port, silent_listener
from harness.balancer import loopback, wait_for
from harness.config import site, table
from harness.standstill import Standstill


@pytest.fixture
def black_hole():
    """An address where connects get no answer at all."""
    listener, fillers = silent_listener()
    yield "{}:{}".format(*listener.getsockname())
    for sock in (listener, *fillers):
        sock.close()


def speaks(line) -> bool:
    """Whether an echo comes back."""
    with line:
        line.send(b"hello")
        return line.read(5) == b"hello"


def turned_away(balancer, listen: str) -> bool:
    """Whether a connection ends at once, without a byte."""
    try:
        return balancer.connect(listen).is_closed()
    except ConnectionResetError:  # before connect() returned
        return True


def test_a_refused_connect_goes_on_to_the_next(tcp, backend) -> None:
    balancer = tcp(f"127.0.0.1:{free_port()}", backend(echo))

    assert all(speaks(balancer.connect()) for _ in range(20))


@pytest.mark.alone  # next to nothing is measured
def test_a_refusal_costs_next_to_nothing(tcp, backend) -> None:
    balancer = tcp(f"127.0.0.1:{free_port()}", backend(echo))

    with Standstill() as still:
        started = time.monotonic()
        assert speaks(balancer.connect())
        assert speaks(balancer.connect())
        took = time.monotonic() - started

    assert took < 0.2 + still.longest


@pytest.mark.alone  # how soon is measured
def test_a_connect_without_an_answer_goes_on_to_the_next_soon(tcp, backend, black_hole) -> None:
    """A second backend is tried beside the late one, long before the connect timeout."""
    balancer = tcp(black_hole, backend(echo))

    slowest = 0.0
    with Standstill() as still:
        for _ in range(10):
            started = time.monotonic()
            assert speaks(balancer.connect())
            slowest = max(slowest, time.monotonic() - started)

    assert slowest < 0.5 + still.longest, "the connect timeout is 1 s"


def test_a_backend_that_swallows_connects_is_found_out(tcp, backend, black_hole) -> None:
    balancer = tcp(black_hole, backend(echo))

    for _ in range(10):
        assert speaks(balancer.connect())

    assert balancer.backends()[black_hole]["health"] in ("suspect", "down")


def test_the_next_group_takes_over_and_gives_back(fairlead, backend) -> None:
    first, second = backend(echo), backend(echo)
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen,
            first,
            table(second, group=1),
            protocol="tcp",
            check='type = "tcp", interval = "100ms", fall = 2, rise = 2',
        )
    )
    assert speaks(balancer.connect(listen))
    assert second.lines == [] or not any(line.held for line in second.lines)

    first.refuse()
    assert all(speaks(balancer.connect(listen)) for _ in range(5))
    balancer.wait_for_health(first.address, "down")
    assert all(speaks(balancer.connect(listen)) for _ in range(5))
    assert balancer.backends()[second.address]["requests"] >= 5

    first.listen_again()
    balancer.wait_for_health(first.address, "healthy")
    before = balancer.backends()[second.address]["requests"]
    assert all(speaks(balancer.connect(listen)) for _ in range(5))
    assert balancer.backends()[second.address]["requests"] == before


def test_with_nobody_left_the_client_is_closed_at_once(tcp) -> None:
    balancer = tcp(f"127.0.0.1:{free_port()}")

    started = time.monotonic()
    assert turned_away(balancer, balancer.listen)

    assert time.monotonic() - started < 3


def test_a_client_that_leaves_ends_the_attempt_at_once(fairlead, black_hole) -> None:
    """And makes the silent backend suspect: nginx loses this evidence."""
    listen = loopback()
    balancer = fairlead(
        config=site(listen, black_hole, protocol="tcp", pool='timeouts = { connect = "60s" }')
    )
    line = balancer.connect(listen)
    wait_for(lambda: balancer.backends()[black_hole]["active"] == 1)
    time.sleep(0.3)
    line.reset()

    wait_for(lambda: balancer.backends()[black_hole]["active"] == 0, 10)
    balancer.wait_for_health(black_hole, "suspect")


def test_a_backend_at_its_limit_overflows_to_the_next(fairlead, backend) -> None:
    small, large = backend(echo), backend(echo)
    listen = loopback()
    balancer = fairlead(
        config=site(listen, table(small, max_connections=2), table(large, group=1), protocol="tcp")
    )
    lines = [balancer.connect(listen) for _ in range(5)]
    for line in lines:
        line.send(b"x")
        assert line.read(1) == b"x"

    rows = balancer.backends()
    assert rows[small.address]["active"] == 2
    assert rows[large.address]["active"] == 3


def test_all_at_their_limits_is_saturation(fairlead, backend) -> None:
    listen = loopback()
    one = backend(echo)
    balancer = fairlead(config=site(listen, table(one, max_connections=1), protocol="tcp"))
    first = balancer.connect(listen)
    first.send(b"x")
    first.read(1)

    assert turned_away(balancer, listen)
    balancer.wait_for_reason("saturated")
    first.close()
    wait_for(lambda: balancer.backends()[one.address]["active"] == 0)
    assert speaks(balancer.connect(listen))
