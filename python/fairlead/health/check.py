"""What a check is: one backend, where it is, how often it is asked, and something that asks it.

Not here: the ways of asking (`command`, `function`), when they are asked (`repeat`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead.config.loaded import LoadedConfig
    from fairlead.health.report import Result
    from fairlead.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(ABC):
    """One backend and how it is checked.

    Attributes:
        pool: Name of the pool.
        backend: The backend's address as configured.
        name: Where it is now: an IP address, or the path of a Unix socket.
        port: Its port; empty for a Unix socket.
        interval_seconds: Between two runs.
        fast_interval_seconds: The same while in doubt.
        timeout_seconds: For one run.
        rise: Passes in a row that end doubt.
    """

    pool: str
    backend: str
    name: str
    port: str
    interval_seconds: float
    fast_interval_seconds: float
    timeout_seconds: float
    rise: int

    @abstractmethod
    async def run(self) -> Result | None:
        """Run it once.

        Returns:
            What it found, or ``None`` where that is no evidence.
        """


def places(loaded: LoadedConfig, plan: Json, kind: str) -> Iterator[dict[str, Any]]:
    """Of each backend that is checked in this way, what every check has.

    Args:
        loaded: The configuration: what is run, and when.
        plan: The same as the engine gets it: where each backend is now.
        kind: A ``check.type``.
    """
    for pool in plan["pools"]:
        check = loaded.config.pools[pool["name"]].check
        if check.type != kind:
            continue
        for backend in pool["backends"]:
            name, port = _place(backend["endpoints"][0])
            yield {
                "pool": pool["name"],
                "backend": backend["address"],
                "name": name,
                "port": port,
                "interval_seconds": check.interval.total_seconds(),
                "fast_interval_seconds": check.interval_in_doubt.total_seconds(),
                "timeout_seconds": check.timeout.total_seconds(),
                "rise": check.rise,
            }


def _place(endpoint: Json) -> tuple[str, str]:
    """Address and port of a plan's endpoint; a Unix socket has its path and no port.

    >>> _place({"tcp": "[::1]:80"}), _place({"unix": "/run/app"})
    (('::1', '80'), ('/run/app', ''))
    """
    if "unix" in endpoint:
        return endpoint["unix"], ""
    name, _, port = endpoint["tcp"].rpartition(":")
    return name.strip("[]"), port
