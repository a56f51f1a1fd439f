"""What a type checker must refuse: the error code stands behind each line."""

from __future__ import annotations

import fairlead
from fairlead.testing import FakeBackend

fairlead.Balancer("fairlead.toml")  # expect: arg-type
fairlead.Balancer.from_file(7)  # expect: arg-type
fairlead.NoSuchThing  # expect: attr-defined
FakeBackend("one").answer(status="503")  # expect: arg-type


class Wrong(fairlead.Policy):
    """A policy whose score can't be called with backends."""

    def score(self) -> list[float]:  # expect: override
        return []


async def wrong(balancer: fairlead.Balancer) -> None:
    """Calls that can't be right."""
    balancer.status().no_such_field  # expect: attr-defined
    async for event in balancer.events():
        event.text = "other"  # expect: misc
