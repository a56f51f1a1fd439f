"""What a type checker must accept: programs that use the public names as documented."""

from __future__ import annotations

from collections.abc import Sequence

import fairlead
from fairlead.config import Backend
from fairlead.testing import FakeBackend, balancer_before
from fairlead.testing.plugin import MakeBackend, MakeBalancer


async def embed(path: str) -> list[str]:
    """Run a balancer from a file, look at it, steer it."""
    texts: list[str] = []
    async with fairlead.Balancer.from_file(path) as balancer:
        status: fairlead.Status = balancer.status()
        for pool in status.pools:
            for backend in pool.backends:
                name: str = backend.address
                well: bool = backend.health == "healthy"
                texts.append(f"{name}: {well}")
        async for event in balancer.events():
            changed: fairlead.Event = event
            texts.append(changed.text)
            break
        await balancer.reload()
    return texts


def load(path: str) -> str | None:
    """Tell what is wrong with a file."""
    try:
        fairlead.Balancer.from_file(path)
    except fairlead.ConfigErrors as errors:
        first: fairlead.ConfigError = errors.errors[0]
        return str(first)
    except fairlead.FairleadError as error:
        return str(error)
    return None


class Cheapest(fairlead.Policy):
    """A policy that scores."""

    def score(self, backends: Sequence[fairlead.Backend]) -> list[float]:
        """The idle ones first."""
        return [backend.weight / (1 + backend.active) for backend in backends]


class LeastBusy(fairlead.Policy):
    """A policy that picks."""

    def pick(
        self, request: fairlead.Request, backends: Sequence[fairlead.Backend]
    ) -> fairlead.Backend | None:
        """Whoever has least to do, for those who say who they are."""
        tier: str | None = request.headers.get("x-tier")
        if tier is None or request.client is None:
            return None
        return min(backends, key=lambda backend: backend.active / backend.weight)


def is_well(probe: fairlead.Probe) -> bool | str:
    """A check."""
    return probe.port is not None or f"{probe.host} of {probe.pool} has no port"


def misbehave() -> str:
    """Use the test kit."""
    with FakeBackend("one") as one:
        one.answer(status=503, times=1)
        one.hang()
        return one.address


def hold(text: str) -> dict[str, float | None]:
    """Use it without an event loop, steer it, read its statistics."""
    config: fairlead.Config = fairlead.Config.from_toml(text)
    again: str = config.to_toml()
    with fairlead.BlockingBalancer.from_text(again) as balancer:
        balancer.add_backend("app", Backend("app3:8000", weight=2))
        balancer.add_backend("app", "app4:8000*3")
        balancer.set_backend("app", "app3:8000", state="draining")
        balancer.remove_backend("app", "app4:8000")
        found: dict[str, float | None] = {}
        for pool in balancer.status().pools:
            rate: float = pool.totals.rates.requests.last_10_seconds
            found[pool.name] = pool.totals.latency_ms.p999
            for backend in pool.backends:
                why: list[str] = [change.why for change in backend.history]
                count: int = backend.failures_by_reason.get("connect_refused", 0)
                assert (why, count, rate) is not None
        for event in balancer.events(after=0, timeout_seconds=1):
            assert event.kind
        try:
            balancer.reload()
        except fairlead.ReloadError as error:
            found[error.first] = None
        assert balancer.metrics()
    return found


def before(one: FakeBackend) -> str:
    """Put a balancer before a backend of the kit."""
    one.websocket(messages=3, then="reset")
    with balancer_before(one) as balancer:
        return balancer.address


def test_with_fixtures(fairlead_backend: MakeBackend, fairlead_balancer: MakeBalancer) -> None:
    """A user's own test, typed."""
    one = fairlead_backend("one")
    assert fairlead_balancer(one).address
