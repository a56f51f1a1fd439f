"""What a policy in Python is: the class that users derive theirs from.

It says how a policy is called and what its answers mean. Who calls it, and what happens when it
doesn't answer, is decided elsewhere (`runner`, and the engine).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.model import Backend
    from fairlead.policy.request import Request


class Policy:
    """How a pool picks a backend, written in Python.

    Derive from it, write `score`, `pick` or both, and name the class in a pool: ``policy =
    "my_policies:Cheapest"``. fairlead makes one instance for each pool and calls it from one
    thread at a time, never from the event loop: keep what you like on ``self``, without a lock. When the
    file changes, a new instance takes the old one's place; when the configuration is reloaded and
    the file hasn't changed, the old one goes on.

    Whatever a policy does wrong costs no request: the pool's fallback, ``round-robin``, picks in
    its place. It is told as an event, counted, and shown by ``fairlead status``.

    Example:
        ::

            class Cheapest(fairlead.Policy):
                def score(self, backends):
                    return [1 / PRICE[backend.address] for backend in backends]
    """

    def pick(self, request: Request, backends: Sequence[Backend]) -> Backend | None:
        """Choose who gets this request.

        Called for each request (http) or connection (tcp), and again for a retry; by then the
        backend that failed is no longer in ``backends``. The request waits meanwhile, over all its
        attempts at most ``policy_timeout`` (20 ms unless the pool says otherwise); then the
        fallback picks in your place. While a call takes five times as long, and while more than a
        thousand requests wait, nobody waits at all.

        Args:
            request: Its head is read when it is looked at. On tcp only where it came from is set.
            backends: Who may be used now (enabled, not down, of the lowest group that has anybody),
                in the configuration's order and never empty. ``active`` is of this moment and over
                all workers; the other numbers are up to 100 ms old.

        Returns:
            A member of ``backends``, or ``None`` for no preference: then the fallback picks. If
            the policy scores, too, it picks by those scores.

        An exception, or an answer that is no member, is told and counted, and the fallback picks.
        """
        raise NotImplementedError

    def score(self, backends: Sequence[Backend]) -> Sequence[float]:
        """Say what share of the traffic each backend is worth now.

        Called every 100 ms. The answer becomes the weights of ``round-robin``, so picking itself
        costs what it always costs: write this one if the traffic is heavy.

        Args:
            backends: All backends of the pool, in the configuration's order, also those that
                can't be used now. What they say is of this moment, and over all workers.

        Returns:
            A number for each, in the same order: only how they compare matters. A backend of 0
            gets traffic only when nobody else is left. They count in the place of the configured
            weights; ``backend.weight`` is there to be multiplied with. Scores lapse when they are
            not renewed for two seconds, and then the configured weights count.

        An exception, or anything else than non-negative numbers of which one at least is above 0,
        is a failed round: the scores before stay in force, until they lapse.
        """
        raise NotImplementedError

    @classmethod
    def writes(cls, method: str) -> bool:
        """Whether a policy has a method of its own."""
        return getattr(cls, method) is not getattr(Policy, method)
