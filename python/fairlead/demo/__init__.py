"""``fairlead demo``: a balancer, backends that misbehave on a schedule, steady clients.

What is done to whom stands in `scenario`; who asks, in `clients`; how it looks, in `view`; what
came of it, in `report`; `play` runs it all. Nothing has to be configured, all of it is on
loopback, and nothing is left behind.
"""

from __future__ import annotations

import sys

__all__ = ["run"]


def run(seconds: float | None = None, *, json: bool = False) -> int:
    """Run the demo.

    Args:
        seconds: How long; ``None`` until Ctrl-C (or q, on a terminal).
        json: Write the report to standard output as one JSON object. Everything else goes to
            standard error.

    Returns:
        0 if no client saw an error, else 1.
    """
    # Imported here: the command line imports this module for its name only.
    import asyncio

    from fairlead.demo.play import play
    from fairlead.demo.view import choose, say

    report = asyncio.run(play(seconds, choose()))
    say(report.lines())
    if json:
        import json as encoder

        sys.stdout.write(encoder.dumps(report.to_json()) + "\n")
    return report.exit_code
