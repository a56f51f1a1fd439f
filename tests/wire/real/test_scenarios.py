"""varnishtest plays scenarios of ours: its server and its client, written by others, with us between.

The scenarios are in scenarios/*.vtc, one claim each.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.backend import free_port
from harness.balancer import PROGRAM
from harness.programs import find

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.vtc"))


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(scenario: Path, monkeypatch, tmp_path) -> None:
    program = find("varnishtest", "varnish")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    done = subprocess.run(
        [program, "-t", "20", "-D", f"fairlead={PROGRAM}", "-D", f"port={free_port()}", scenario],
        capture_output=True, text=True, check=False, timeout=29,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
