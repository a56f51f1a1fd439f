"""What a type checker must refuse: the error code stands behind each line."""

from __future__ import annotations

import fairlead
from fairlead.testing import FakeBackend

fairlead.Balancer("fairlead.toml")  # expect: arg-type
fairlead.Balancer.from_file(7)  # expect: arg-type
fairlead.NoSuchThing  # expect: attr-defined
FakeBackend("one").answer(status="503")  # expect: arg-type
FakeBackend("one").websocket(then="explode")  # expect: arg-type
fairlead.BlockingBalancer.from_text("").set_backend("app", "a:1", weight="3")  # expect: arg-type
fairlead.BlockingBalancer.from_text("").status().pools[0].totals.requests = 3  # expect: misc


class Wrong(fairlead.Policy):
    """A policy whose score can't be called with backends."""

    def score(self) -> list[float]:  # expect: override
        return []


class AlsoWrong(fairlead.Policy):
    """A policy that picks by address."""

    def pick(self, request: fairlead.Request, backends: object) -> str:  # expect: override
        return f"{request.path} {backends}"


async def wrong(balancer: fairlead.Balancer) -> None:
    """Calls that can't be right."""
    balancer.status().no_such_field  # expect: attr-defined
    async for event in balancer.events():
        event.text = "other"  # expect: misc
