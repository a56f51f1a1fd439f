"""docs/reference is what the source says."""

from __future__ import annotations

import subprocess
import sys

from harness.sources import ROOT


def test_reference_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "tools/generate_docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
