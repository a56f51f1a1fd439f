"""What goes on for ever doesn't end in silence."""

import asyncio

from fairlead.tasks import for_ever


def said_of(work):
    said = []

    async def main():
        # What a callback raises is told to nobody else.
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: said.append(context["message"])
        )
        await asyncio.wait([for_ever(work(), said.append)])
        await asyncio.sleep(0)

    asyncio.run(main())
    return said


def test_a_fault_that_ends_it_is_said():
    async def work():
        raise KeyError("gone")

    assert said_of(work) == ["a fault in fairlead: KeyError('gone')"]


def test_an_end_that_was_wished_is_not():
    async def work():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    assert said_of(work) == []
