"""A thousand services in one process: what they take, and what changing them all costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.backend import saying
from harness.balancer import loopback

if TYPE_CHECKING:
    from harness.balancer import Balancer

pytestmark = pytest.mark.alone

SERVICES = 1_000
MEBIBYTES = 60
PAUSE_MS = 5.0
"""The longest that a worker may be kept from its clients."""


def services(listen: str, backends: list, weight: int = 1) -> str:
    """So many listeners (the first at `listen`), each before a pool of its own of the same backends,
    all checked.
    """
    rows = ", ".join(f'{{ address = "{each.address}", weight = {weight} }}' for each in backends)
    one = (
        '[listeners.l{0}]\nbind = "{2}"\nprotocol = "http"\npool = "p{0}"\n'
        "[pools.p{0}]\nbackends = [{1}]\n"
    )
    head = 'workers = 2\n[defaults.pools]\ncheck = { type = "http", path = "/", interval = "2s" }\n'
    binds = [listen, *["127.0.0.1:0"] * (SERVICES - 1)]
    return head + "".join(one.format(n, rows, bind) for n, bind in enumerate(binds))


def worker_milliseconds(balancer: Balancer) -> list[float]:
    """The CPU time of each worker's thread so far."""
    threads = sorted(Path(f"/proc/{balancer.process.pid}/task").iterdir())
    workers = [each for each in threads if (each / "comm").read_text().strip()[-2:] in ("-0", "-1")]
    assert len(workers) == 2
    return [int((each / "schedstat").read_text().split()[0]) / 1e6 for each in workers]


def test_a_thousand_services_take_sixty_mebibytes_and_no_pause(fairlead, backend) -> None:
    backends = [backend(saying(b"ok")) for _ in range(4)]
    listen = loopback()
    balancer = fairlead(config=services(listen, backends), fresh=True)

    assert balancer.resident_bytes() < MEBIBYTES << 20

    pauses = []
    for weight in (2, 3, 4, 5):
        before = worker_milliseconds(balancer)
        assert balancer.reload(services(listen, backends, weight))[0] == 200
        after = worker_milliseconds(balancer)
        pauses.append(max(late - early for early, late in zip(before, after, strict=True)))
    # All that a worker did meanwhile, checks included; what else runs on its core makes it more.
    assert min(pauses) < PAUSE_MS, pauses
    assert balancer.connect(listen).get().body == b"ok"
