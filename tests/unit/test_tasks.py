"""What goes on for ever doesn't end in silence, and not at all by a fault."""

import asyncio

import pytest

from fairlead import tasks
from fairlead.tasks import for_ever


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)


def said_of(work):
    said = []

    async def main():
        # What a callback raises is told to nobody else.
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: said.append(context["message"])
        )
        await asyncio.wait([for_ever("this", work, said.append)])
        await asyncio.sleep(0)

    asyncio.run(main())
    return said


def test_a_fault_is_said_and_it_begins_again():
    times = []

    async def work():
        times.append(1)
        if len(times) < 3:
            raise KeyError("gone")

    said = said_of(work)
    assert said == ["a fault in fairlead, this begins again: KeyError('gone')"] * 2
    assert len(times) == 3


def test_an_end_that_was_wished_is_one():
    times = []

    async def work():
        times.append(1)
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    assert said_of(work) == []
    assert len(times) == 1
