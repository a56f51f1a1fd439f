"""What a type checker must accept: programs that use the public names as documented."""

from __future__ import annotations

from collections.abc import Sequence

import fairlead
from fairlead.testing import FakeBackend


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


def is_well(probe: fairlead.Probe) -> bool | str:
    """A check."""
    return probe.port is not None or f"{probe.host} of {probe.pool} has no port"


def misbehave() -> str:
    """Use the test kit."""
    with FakeBackend("one") as one:
        one.answer(status=503, times=1)
        one.hang()
        return one.address
