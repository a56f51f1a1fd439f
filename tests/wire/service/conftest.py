"""A parent that plays systemd."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from harness.service_manager import Manager


@pytest.fixture
def manager() -> Iterator[Callable[..., Manager]]:
    """Makes managers: ``manager(web=socket, ...)``."""
    with contextlib.ExitStack() as stack:

        def make(**sockets: socket.socket) -> Manager:
            return stack.enter_context(contextlib.closing(Manager(**sockets)))

        yield make


@pytest.fixture
def held() -> socket.socket:
    """A listening socket that the test holds, as systemd would."""
    return socket.create_server(("127.0.0.1", 0), backlog=128)
