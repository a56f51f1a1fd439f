"""What tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.crowd import Crowd


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """An event loop with clients and backends."""
    with Crowd() as crowd:
        yield crowd
