"""What a type checker makes of programs that use fairlead."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def mypy(*names: str) -> list[str]:
    """mypy's messages about these files, strictly, seeing fairlead as an installed package."""
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context",
            "--config-file", "/dev/null", *[str(HERE / name) for name in names],
        ],
        capture_output=True, text=True, check=False, cwd=HERE,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if ": error: " in line]


@pytest.mark.timeout(120)
def test_documented_uses_are_accepted_and_mistakes_are_refused() -> None:
    """In one run: most of it is reading fairlead."""
    expected = {
        (number, match[1])
        for number, line in enumerate((HERE / "refused.py").read_text().splitlines(), 1)
        if (match := re.search(r"# expect: ([\w-]+)", line))
    }
    found = set()
    for message in mypy("accepted.py", "refused.py"):
        match = re.search(r"refused\.py:(\d+): error: .*\[([\w-]+)\]$", message)
        assert match, message
        found.add((int(match[1]), match[2]))

    assert found == expected
