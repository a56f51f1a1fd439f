"""A balancer before some backends, as a test wants it: no file, no names, nothing slow.

Decides what such a balancer is set up like. Doesn't know what runs the test.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fairlead.blocking import BlockingBalancer
from fairlead.config.schema import Backend, Check, Config, Listener, Pool

if TYPE_CHECKING:
    from fairlead.testing.backend import FakeBackend

# Fast enough that a test sees a backend go down in a second, slow enough for a busy machine.
_CHECK = Check(interval=timedelta(milliseconds=200), timeout=timedelta(seconds=1))


def balancer_before(*what: FakeBackend | str | Config, protocol: str = "http") -> BlockingBalancer:
    """A balancer that is not started yet.

    Args:
        what: Backends to put it before, or one configuration, or the text of one.
        protocol: What its listener speaks, before backends: ``http`` or ``tcp``.

    Raises:
        ConfigErrors: The configuration can't work.
        TypeError: Backends and configurations are mixed.
    """
    match what:
        case (Config() as config,):
            return BlockingBalancer(config)
        case (str() as text,):
            return BlockingBalancer.from_text(text)
    backends = []
    for each in what:
        if isinstance(each, (str, Config)):
            raise TypeError("either backends, or one configuration")
        backends.append(Backend(each.address))
    config = Config(
        workers=1,
        shutdown_timeout=timedelta(0),
        listeners={"web": Listener(bind=("127.0.0.1:0",), protocol=protocol, pool="app")},
        pools={"app": Pool(backends=tuple(backends), check=_CHECK)},
    )
    return BlockingBalancer(config)
