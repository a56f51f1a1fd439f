"""What `docs` promise of faults, at full length: a run of bench/failover with fairlead alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import lab as labs
from harness.balancer import PROGRAM
from harness.sources import ROOT

pytestmark = [pytest.mark.root, pytest.mark.long]

BENCH = ROOT / "bench" / "failover" / "failover.py"


BOTH, HTTP = "fairlead,fairlead-tcp", "fairlead"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("load", "peers"),
    [("plain", BOTH), ("kept", HTTP), ("rate20", BOTH), ("groups", BOTH), ("spare", BOTH)],
)
def test_no_promise_is_broken(load: str, peers: str, tmp_path: Path) -> None:
    """Eight faults of 6 s over http, four over tcp; failed and slow ones as `faults.py` allows."""
    missing = labs.missing() or ("needs go" if shutil.which("go") is None else None)
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must be able to run this: {missing}")
        pytest.skip(missing)

    done = subprocess.run(
        [sys.executable, str(BENCH), "--short", "--loads", load, "--peers", peers, "--parallel", "6",
         "--work", str(tmp_path)],
        env={**os.environ, "FAIRLEAD": str(PROGRAM)},
        capture_output=True, text=True, check=False, timeout=590,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
