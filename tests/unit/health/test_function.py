"""Checks in Python: what their answers mean, and what becomes of those that don't answer."""

import asyncio
import dataclasses
import functools
import threading
import time

import pytest

from fairlead.health.function import FunctionCheck, Probe, as_function
from fairlead.health.report import Result
from fairlead.loader import LoadError

PROBE = Probe("app", "a:1", "10.0.0.1", 1, timeout_seconds=0.2)
PATIENT = dataclasses.replace(PROBE, timeout_seconds=5)
"""For what is to pass: a busy machine is late for once."""


def result(call, probe=PATIENT, told=None):
    async def main():
        function = as_function("m:f", call, (told if told is not None else []).append)
        try:
            return await function.run(probe)
        finally:
            function.stop()

    return asyncio.run(main())


async def ended(function):
    """Until no run of it hangs any more."""
    until = time.monotonic() + 5
    while function._hanging:  # there is no event for it outside
        assert time.monotonic() < until
        await asyncio.sleep(0.005)


def asynchronous(answer):
    async def call(_):
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


def plain(answer):
    def call(_):
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


@pytest.mark.parametrize("kind", [plain, asynchronous])
@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (True, Result(passed=True, what="true")),
        (False, Result(passed=False, what="false")),
        ("too\nlate", Result(passed=False, what="too")),
    ],
)
def test_what_a_function_answers_is_the_result(kind, answer, found):
    assert result(kind(answer)) == found


@pytest.mark.parametrize("kind", [plain, asynchronous])
def test_what_a_function_raises_is_a_failure_with_its_place(kind):
    found = result(kind(KeyError("x")))
    assert not found.passed
    assert found.what.startswith("KeyError: 'x' (test_function.py:")


@pytest.mark.parametrize("answer", [None, 1, [True]])
def test_other_answers_are_no_evidence_and_are_told_once(answer):
    told = []

    async def main():
        function = as_function("m:f", lambda _: answer, told.append)
        return [await function.run(PATIENT), await function.run(PATIENT)]

    assert asyncio.run(main()) == [None, None]
    assert len(told) == 1


def test_a_plain_function_that_hangs_is_not_called_again_before_it_ends():
    calls, go = [], threading.Event()

    def hang(_):
        calls.append(1)
        go.wait()
        return True

    async def main():
        function = as_function("m:f", hang, lambda _: None)
        first = await function.run(PROBE)
        second = await function.run(PROBE)
        other = await function.run(Probe("app", "b:1", "h", 1, timeout_seconds=0.05))
        go.set()
        await ended(function)
        return first, second, other, await function.run(PATIENT)

    first, second, other, last = asyncio.run(main())
    assert first == Result(passed=False, what="no answer within 0.2 s")
    assert second == Result(passed=False, what="no answer within 0.2 s, nor since")
    assert not other.passed
    assert last.passed
    assert len(calls) == 3


def test_an_async_function_that_hangs_is_cancelled_and_called_again():
    seen = []

    async def hang(_):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main():
        function = as_function("m:f", hang, lambda _: None)
        first = await function.run(PROBE)
        await ended(function)
        second = await function.run(PROBE)
        function.stop()
        return first, second

    first, second = asyncio.run(main())
    assert first == second == Result(passed=False, what="no answer within 0.2 s")
    assert "cancelled" in seen


def test_what_waits_for_a_busy_loop_has_not_failed():
    told, go = [], threading.Event()

    async def block(_):
        go.wait()
        return True

    async def main():
        function = as_function("m:f", block, told.append)
        blocked = asyncio.ensure_future(function.run(PROBE))
        await asyncio.sleep(0.05)
        waiting = await function.run(Probe("app", "b:1", "h", 1, timeout_seconds=0.05))
        go.set()
        result = await blocked
        function.stop()
        return result, waiting

    result, waiting = asyncio.run(main())
    assert waiting is None
    assert result == Result(passed=True, what="true") or not result.passed
    assert "busy" in told[0]


def test_async_calls_share_a_loop_so_that_a_client_may_stay_open():
    loops = set()

    async def call(_):
        loops.add(asyncio.get_running_loop())
        return True

    async def main():
        function = as_function("m:f", call, lambda _: None)
        await function.run(PATIENT)
        await function.run(PATIENT)
        function.stop()
        return asyncio.get_running_loop()

    mine = asyncio.run(main())
    assert len(loops) == 1
    assert mine not in loops


def test_a_check_tells_its_function_whom_to_look_at():
    seen = []

    def call(probe):
        seen.append(probe)
        return True

    async def main(port):
        function = as_function("m:f", call, lambda _: None)
        check = FunctionCheck(
            pool="app", backend="a:1", name="10.0.0.1", port=port, interval_seconds=1,
            fast_interval_seconds=1, timeout_seconds=2, rise=1, function=function,
        )  # fmt: skip
        return await check.run()

    assert asyncio.run(main("80")).passed
    assert asyncio.run(main("")).passed
    assert seen == [
        Probe("app", "a:1", "10.0.0.1", 80, 2),
        Probe("app", "a:1", "10.0.0.1", None, 2),
    ]


class Callable:
    async def __call__(self, _probe):
        return True


def test_whatever_can_be_called_with_a_probe_will_do():
    assert result(Callable()).passed
    assert result(functools.partial(lambda answer, _: answer, True)).passed


@pytest.mark.parametrize("of", [7, int, Callable, lambda: True, lambda _one, _two: True])
def test_what_cannot_be_called_with_a_probe_is_refused(of):
    with pytest.raises(LoadError):
        as_function("m:f", of, lambda _: None)
