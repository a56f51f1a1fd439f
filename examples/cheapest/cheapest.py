"""The cheapest backends first; dearer ones only for what those can't carry."""

from collections.abc import Sequence

import fairlead

# By address: what an hour costs, and how many requests it carries at once. Change it while fairlead
# runs: the file is loaded anew.
COSTS = {
    "spot-1:8000": (0.4, 32),
    "spot-2:8000": (0.4, 32),
    "reserved:8000": (1.0, 64),
    "on-demand:8000": (2.9, 64),
}


class Cheapest(fairlead.Policy):
    """Scores by what room is left at the lowest price that has any."""

    def score(self, backends: Sequence[fairlead.Backend]) -> list[float]:
        """Say what share each backend gets until the next call, a tenth of a second from now."""
        rooms = [COSTS[each.address][1] - each.active if each.available else 0 for each in backends]
        prices = [COSTS[each.address][0] for each in backends]
        free = [price for price, room in zip(prices, rooms, strict=True) if room > 0]
        if not free:
            return [float(each.available) for each in backends]  # all are full: share it
        lowest = min(free)
        return [
            float(max(room, 0)) if price == lowest else 0.0
            for price, room in zip(prices, rooms, strict=True)
        ]
