"""Blocking calls beside the loop."""

import asyncio
import threading
import time

import pytest

from fairlead.control.thread import in_thread


def test_the_result_comes_back_and_the_loop_goes_on():
    go = threading.Event()

    async def main():
        asyncio.get_running_loop().call_later(0.01, go.set)
        return await in_thread(lambda: (go.wait(5), threading.current_thread().daemon))

    assert asyncio.run(main()) == (True, True)


def test_failures_come_back():
    def fail():
        raise KeyError("x")

    async def main():
        with pytest.raises(KeyError):
            await in_thread(fail)

    asyncio.run(main())


def test_nobody_waits_for_a_call_that_was_given_up():
    go = threading.Event()

    async def main():
        async with asyncio.timeout(0.01):
            await in_thread(lambda: go.wait(5))

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert time.monotonic() - began < 2
    go.set()
