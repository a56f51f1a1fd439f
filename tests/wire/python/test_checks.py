"""Checks in Python: plain and async functions, what they answer, and what they may not hold up."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.balancer import loopback, run, wait_for
from harness.config import site

FAST = 'interval = "50ms", timeout = "300ms", rise = 2, fall = 2'


@pytest.fixture
def checked(fairlead, backend):
    """A balancer before two backends that this function checks: ``is_well(probe)``."""

    def start(text: str, *, more: str = "", times: str = FAST):
        backends = [backend(), backend()]
        check = f'type = "python", function = "mine:is_well", {times}'
        listen = loopback()
        config = site(listen, *backends, check=check, more=more)
        return fairlead(config=config, files={"mine.py": text}), listen, backends

    return start


def by_port(verdict: str, kind: str = "def") -> str:
    """A check by which the first backend that was asked passes, and of the others this is true."""
    return f"""
PASSES = []
{kind} is_well(probe):
    assert (probe.pool, probe.host, probe.timeout_seconds) == ("app", "127.0.0.1", 0.3)
    assert probe.backend == f"127.0.0.1:{{probe.port}}"
    if not PASSES:
        PASSES.append(probe.port)
    if probe.port in PASSES:
        return True
    {verdict}
"""


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ("return False", "false"),
        ("return 'replica is 40 s behind'", "replica is 40 s behind"),
        ("raise OSError('no way')", "OSError: no way (mine.py:10, in is_well)"),
    ],
)
def test_a_failure_says_why(checked, kind: str, verdict: str, told: str) -> None:
    balancer, listen, backends = checked(by_port(verdict, kind))

    def health() -> list[str]:
        return sorted(balancer.backends()[each.address]["health"] for each in backends)

    wait_for(lambda: health() == ["down", "healthy"])
    down = next(row for row in balancer.backends().values() if row["health"] == "down")
    assert told in down["reason"]
    assert balancer.connect(listen).get().status == 200


@pytest.mark.parametrize(
    "hang",
    [
        "import threading; threading.Event().wait()",
        "import time; time.sleep(1000)",
    ],
)
def test_a_plain_function_that_hangs_fails_and_holds_nobody_up(checked, hang: str) -> None:
    balancer, listen, _ = checked(by_port(hang))

    # Both in one look: on a busy machine the well one, too, may be late for once.
    def one_of_each() -> list[dict]:
        rows = sorted(balancer.backends().values(), key=lambda row: row["health"])
        return rows if [row["health"] for row in rows] == ["down", "healthy"] else []

    down, well = wait_for(one_of_each)
    assert "no answer within 0.3 s" in down["reason"]
    before = well["checks_passed"]
    wait_for(lambda: balancer.backends()[well["address"]]["checks_passed"] > before + 3)
    tasks = Path(f"/proc/{balancer.process.pid}/task")
    threads = len(list(tasks.iterdir()))
    wait_for(lambda: balancer.backends()[well["address"]]["checks_passed"] > before + 10)
    assert len(list(tasks.iterdir())) <= threads + 1, "one thread hangs, not one for each run"
    assert balancer.connect(listen).get().status == 200
    assert balancer.stop() == 0


def test_an_async_function_that_hangs_is_cancelled(checked) -> None:
    text = by_port("import asyncio; await asyncio.sleep(1000)", "async def")
    balancer, _, _ = checked(text)

    wait_for(lambda: [row["health"] for row in balancer.backends().values()].count("down") == 1)

    down = next(row for row in balancer.backends().values() if row["health"] == "down")
    failed = down["checks_failed"]
    wait_for(lambda: balancer.backends()[down["address"]]["checks_failed"] > failed + 2)


def test_an_async_function_that_blocks_its_loop_holds_up_only_its_own_pool(
    fairlead, backend
) -> None:
    text = """
import time
async def is_well(probe):
    time.sleep(1000)
def is_fine(probe):
    return True
"""
    one, two = backend(), backend()
    other = (
        f'[pools.other]\nbackends = ["{two.address}"]\n'
        f'check = {{ type = "python", function = "mine:is_fine", {FAST} }}\n'
    )
    check = f'type = "python", function = "mine:is_well", {FAST}'
    balancer = fairlead(
        config=site(loopback(), one, check=check, more=other), files={"mine.py": text}
    )

    wait_for(lambda: balancer.backends("app")[one.address]["health"] == "down")
    wait_for(lambda: balancer.backends("other")[two.address]["health"] == "healthy")
    assert balancer.stop() == 0


def test_an_answer_that_is_none_is_told_and_is_no_evidence(checked) -> None:
    """A check that forgets to return takes nobody out."""
    patient = 'interval = "50ms", timeout = "5s"'
    balancer, _, _ = checked("def is_well(probe):\n    pass\n", times=patient)

    balancer.wait_for_output("pool app check in Python answers nothing")

    rows = balancer.backends().values()
    assert {row["health"] for row in rows} == {"unknown"}
    assert {row["checks_failed"] for row in rows} == {0}


def test_a_changed_check_is_used(checked) -> None:
    balancer, _, backends = checked("def is_well(probe):\n    return True\n")
    balancer.wait_for_health(backends[0].address, "healthy")

    (balancer.folder / "mine.py").write_text("async def is_well(probe):\n    return 'no more'\n")

    assert "no more" in balancer.wait_for_health(backends[0].address, "down")["reason"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("is_well = 7", "`mine:is_well` is a `int`, not a function"),
        ("class is_well: pass", "`mine:is_well` is the class `is_well`, not a function"),
        ("def is_well(): pass", "can't be called with a probe"),
        ("def other(probe): pass", "has no `is_well`"),
    ],
)
def test_a_check_that_cannot_be_used_ends_the_start(tmp_path, text: str, told: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    path = tmp_path / "fairlead.toml"
    path.write_text(
        site(loopback(), "127.0.0.1:1", check='type = "python", function = "mine:is_well"')
    )

    done = run("run", str(path))

    assert done.returncode == 2
    assert "error[check.python]" in done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
