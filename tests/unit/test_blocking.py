"""BlockingBalancer: fairlead inside a program without an event loop."""

import threading
import time
import urllib.request

import pytest

from fairlead import BlockingBalancer, ConfigErrors, EngineError
from fairlead.config import Backend, Config, Listener, Pool
from fairlead.testing import FakeBackend
from harness.balancer import wait_for


def config(*backends, bind="127.0.0.1:0"):
    rows = tuple(Backend(each.address) for each in backends)
    return Config(
        workers=1,
        listeners={"web": Listener(bind=(bind,), pool="app")},
        pools={"app": Pool(backends=rows)},
    )


def get(balancer):
    with urllib.request.urlopen(f"http://{balancer.address}/", timeout=5) as answer:
        return answer.read()


@pytest.fixture
def one():
    with FakeBackend("one") as running:
        yield running


@pytest.fixture
def two():
    with FakeBackend("two") as running:
        yield running


def test_it_balances_while_it_runs(one):
    with BlockingBalancer(config(one)) as balancer:
        assert get(balancer) == b"one\n"
        assert balancer.status().pool("app").backend(one.address).health == "healthy"
        assert "fairlead_build_info" in balancer.metrics()
    with pytest.raises(RuntimeError, match="not running"):
        _ = balancer.address
    assert balancer.stop() is True


def test_backends_come_and_go_at_run_time(one, two):
    with BlockingBalancer(config(one)) as balancer:
        balancer.add_backend("app", f"{two.address}*3")
        assert {get(balancer) for _ in range(8)} == {b"one\n", b"two\n"}
        balancer.set_backend("app", one.address, state="draining")
        assert {get(balancer) for _ in range(4)} == {b"two\n"}
        balancer.remove_backend("app", one.address)
        assert balancer.reload() == []
        (row,) = balancer.status().pool("app").backends
        assert (row.address, row.weight) == (two.address, 3)


def test_what_can_not_be_is_told_as_what_it_is(one):
    with BlockingBalancer(config(one)) as balancer:
        with pytest.raises(KeyError):
            balancer.add_backend("ap", "127.0.0.1:1")
        with pytest.raises(ValueError, match="already"):
            balancer.add_backend("app", one.address)
        with pytest.raises(ConfigErrors):
            balancer.add_backend("app", "127.0.0.1")
        with pytest.raises(ConfigErrors):
            balancer.add_backend("app", Backend("127.0.0.1:1", weight=1000))
        with pytest.raises(KeyError):
            balancer.remove_backend("app", "127.0.0.1:1")
        with pytest.raises(ValueError, match="only backend"):
            balancer.remove_backend("app", one.address)
        assert [row.address for row in balancer.status().pool("app").backends] == [one.address]


def test_events_come_until_nothing_happens(one):
    with BlockingBalancer(config(one)) as balancer:
        balancer.set_backend("app", one.address, weight=7)
        kinds = [event.kind for event in balancer.events(after=0, timeout_seconds=0.5)]
    # A worker may tell of a check before whoever applied the plan tells of that.
    assert {"applied", "wish"} <= set(kinds)


def test_several_run_side_by_side_and_each_may_start_again(one, two):
    first, second = BlockingBalancer(config(one)), BlockingBalancer(config(two))
    with first, second:
        assert (get(first), get(second)) == (b"one\n", b"two\n")
        with pytest.raises(RuntimeError, match="is running"):
            first.start()
    with first:
        assert get(first) == b"one\n"
        assert first.status().listener("web").requests_total <= 1


def test_calls_may_come_from_any_thread(one):
    with BlockingBalancer(config(one)) as balancer:
        weights = []

        def change(weight):
            balancer.set_backend("app", one.address, weight=weight)
            weights.append(balancer.status().pool("app").backends[0].weight)

        threads = [threading.Thread(target=change, args=(weight,)) for weight in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(weights) == 8


def test_a_start_that_fails_leaves_nothing_behind(one):
    before = threading.active_count()
    balancer = BlockingBalancer(config(one, bind=one.address))
    with pytest.raises(EngineError, match="can't listen"):
        balancer.start()
    # A thread that has done all may take a moment more to end.
    wait_for(lambda: threading.active_count() <= before)
    assert balancer.stop() is True


@pytest.mark.alone  # it measures
def test_a_start_takes_less_than_50_ms(one):
    """The best of ten: what is claimed is what it takes, not what else the machine does."""
    took = []
    for _ in range(10):
        begin = time.perf_counter()
        with BlockingBalancer(config(one)) as balancer:
            took.append(time.perf_counter() - begin)
            assert get(balancer) == b"one\n"
    print(f"start: {min(took) * 1000:.1f} ms at best, {sorted(took)[5] * 1000:.1f} ms usually")
    assert min(took) < 0.05, took
