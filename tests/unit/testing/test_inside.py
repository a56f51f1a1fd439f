"""A balancer beside a test that has no event loop."""

import urllib.request

import pytest

from fairlead.testing import BalancerThread, FakeBackend


def test_it_runs_beside_the_test():
    with FakeBackend("one") as one:
        text = f"""
        [listeners.web]
        bind = "127.0.0.1:0"
        pool = "app"
        [pools.app]
        backends = ["{one.address}"]
        """
        with BalancerThread(text) as balancer:
            with urllib.request.urlopen(f"http://{balancer.address}/") as answer:
                assert answer.read() == b"one\n"
            assert balancer.status().pool("app").backends[0].address == one.address
        balancer.stop()
        with pytest.raises(RuntimeError, match="not running"):
            _ = balancer.address
