"""What a wrong configuration is told: a snapshot for each file in config_errors/.

``NAME.toml`` (or ``.yaml``) is the file, ``NAME.txt`` what `fairlead check` writes about it. After
a wanted change: ``SNAPSHOTS=write pytest tests/interface/test_config_errors.py``, and read the
difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from harness.balancer import run

FOLDER = Path(__file__).with_name("config_errors")
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".toml", ".yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_wrong_file_is_told(path: Path) -> None:
    done = run("check", path.name, cwd=FOLDER)
    snapshot = path.with_suffix(".txt")
    if os.environ.get("SNAPSHOTS") == "write":
        snapshot.write_text(done.stderr)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == snapshot.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_error_has_a_place_and_what_was_expected(path: Path) -> None:
    text = path.with_suffix(".txt").read_text()
    blocks = re.split(r"\n(?=error\[)", text)

    for block in blocks:
        assert re.search(rf"--> {re.escape(path.name)}:\d+:\d+", block), block
        assert "^" in block, block
    assert int(re.search(r"(\d+) errors?\n$", text)[1]) == len(blocks)  # type: ignore[index]
