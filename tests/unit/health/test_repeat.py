"""Checks run again and again, not too many at once, and sooner while in doubt."""

import asyncio
import dataclasses

from fairlead import tasks
from fairlead.health import command
from fairlead.health import repeat as module
from fairlead.health.command import CommandCheck
from fairlead.health.repeat import Checks

CHECK = CommandCheck(
    pool="app",
    backend="db:5432",
    name="10.0.0.1",
    port="5432",
    command="exit 0",
    interval_seconds=0.02,
    fast_interval_seconds=0.01,
    timeout_seconds=5,
    rise=2,
)


def test_what_is_no_evidence_is_not_reported(monkeypatch):
    def refuse(*_, **__):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(command.subprocess, "Popen", refuse)

    async def play(running, reported):
        await running.wait_first()

    assert repeat([CHECK], play) == []


async def until(claim):
    async with asyncio.timeout(10):
        while not claim():  # noqa: ASYNC110 - there is no event for it outside
            await asyncio.sleep(0.005)


def repeat(checks, play):
    """Run checks around `play`; what was reported."""
    reported = []

    async def main():
        running = Checks(lambda *row: reported.append(row))
        running.update(checks)
        await play(running, reported)
        running.stop()

    asyncio.run(main())
    return reported


def test_checks_run_again_and_again():
    async def play(running, reported):
        await running.wait_first()
        await until(lambda: len(reported) >= 3)

    repeat([CHECK], play)


def test_an_update_keeps_what_stays_and_ends_what_goes():
    other = dataclasses.replace(CHECK, backend="b:1", command="sleep 60")

    async def play(running, reported):
        await until(lambda: reported)
        kept = running._tasks[CHECK]
        running.update([CHECK])
        assert running._tasks == {CHECK: kept}
        so_far = len(reported)
        await until(lambda: len(reported) > so_far)

    assert {row[1] for row in repeat([CHECK, other], play)} == {"db:5432"}


def test_only_so_many_run_at_once_and_waiting_is_not_failing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    count = f"ls {tmp_path} | wc -l >&2; touch {tmp_path}/$$; sleep 0.05; rm {tmp_path}/$$; exit 1"
    checks = [
        dataclasses.replace(CHECK, backend=f"b:{number}", command=count, timeout_seconds=2)
        for number in range(6)
    ]

    async def play(running, reported):
        await running.wait_first()

    reported = repeat(checks, play)
    assert {row[3] for row in reported} <= {"exit status 1: 0", "exit status 1: 1"}


def test_doubt_begins_with_a_failure_and_ends_with_enough_passes():
    doubt = module._Doubt(rise=2)
    assert not doubt.exists(now=0)
    doubt.observe(passed=False, now=1)
    assert doubt.exists(now=1)
    doubt.observe(passed=True, now=2)
    assert doubt.exists(now=2)
    doubt.observe(passed=True, now=3)
    assert not doubt.exists(now=3)


def test_one_that_is_down_for_long_is_asked_at_leisure_until_it_passes():
    doubt = module._Doubt(rise=2)
    doubt.observe(passed=False, now=0)
    doubt.observe(passed=False, now=100)
    assert not doubt.exists(now=100)
    doubt.observe(passed=True, now=101)
    assert doubt.exists(now=101)


def test_a_check_goes_on_after_a_fault_of_ours(monkeypatch):
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    run, faults, reported, said = CommandCheck.run, [KeyError("app")], [], []

    async def run_or_fail(check):
        if faults:
            raise faults.pop()
        return await run(check)

    monkeypatch.setattr(CommandCheck, "run", run_or_fail)

    async def main():
        running = Checks(lambda *row: reported.append(row), said.append)
        running.update([CHECK])
        await running.wait_first()
        running.stop()

    asyncio.run(main())
    assert len(reported) == 1
    assert said == [
        "a fault in fairlead, checking backend `db:5432` of pool `app` begins again: KeyError('app')"
    ]
