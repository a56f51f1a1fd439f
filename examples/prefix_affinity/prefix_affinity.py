"""Requests that share the beginning of their prompt go to the same model server.

A model server keeps what it has computed for the beginnings of prompts. Whoever sends a prompt with
the same beginning to the same server saves it that work, unless that server is overloaded.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import fairlead

BLOCK_BYTES = 256  # beginnings are compared in steps of this
KEPT = 100_000  # so many beginnings are remembered, the latest
BUSY = 8  # in flight; below that nobody is overloaded


class PrefixAffinity(fairlead.Policy):
    """Remembers who served which beginning last."""

    def __init__(self) -> None:
        self._owners: OrderedDict[int, str] = OrderedDict()

    def pick(
        self, request: fairlead.Request, backends: Sequence[fairlead.Backend]
    ) -> fairlead.Backend:
        """Choose whoever knows the longest beginning of this prompt, or who has least to do."""
        beginnings = list(_beginnings(request.body_prefix))
        by_address = {each.address: each for each in backends}
        owners = (by_address.get(self._owners.get(each, "")) for each in reversed(beginnings))
        chosen = next((owner for owner in owners if owner is not None), None)
        if chosen is None or _is_overloaded(chosen, backends):
            chosen = min(backends, key=lambda each: each.active / each.weight)
        for beginning in beginnings:
            self._owners[beginning] = chosen.address
            self._owners.move_to_end(beginning)
        while len(self._owners) > KEPT:
            self._owners.popitem(last=False)
        return chosen


def _beginnings(body: bytes) -> Iterator[int]:
    """A number for each beginning of whole blocks, the shortest first."""
    number = 0
    for start in range(0, max(len(body) - BLOCK_BYTES + 1, 1), BLOCK_BYTES):
        number = hash((number, body[start : start + BLOCK_BYTES]))
        yield number


def _is_overloaded(backend: fairlead.Backend, backends: Sequence[fairlead.Backend]) -> bool:
    """Whether it has twice as much to do as the others have on average."""
    mean = sum(each.active for each in backends) / len(backends)
    return backend.active >= max(BUSY, 2 * mean)
