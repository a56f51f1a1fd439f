#!/usr/bin/env python3
"""Hold one conversation with the original balance and with ours, and show where they differ.

    tools/compare_balance.py /usr/bin/balance            # 3.54, or 3.57 as packaged by Ubuntu 18.04
    tools/compare_balance.py ./balance.fm

The original needs to write to /var/run/balance. What is known to be otherwise is put into our
words before the two are compared: the program's name and version, the state of a channel that was
disabled by hand (`dis` there in 3.54), and the line of help for `monitor`, which 3.54 lacks. Exit
code 1 if anything else differs, 0 otherwise.
"""

from __future__ import annotations

import difflib
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from harness.conversation import play  # noqa: E402


def in_our_words(said: str, ours: str) -> str:
    """The original's text without what is known to be otherwise."""
    said = re.sub(r"balance\.fm", "balance", said)
    said = re.sub(r"balance \d+\.\d+(\.\d+)?", "balance 3.54", said)
    said = re.sub(r"^(  [ \d]\d? +\w+ +\d+) dis ", r"\1 DIS ", said, flags=re.MULTILINE)
    line = next(line for line in ours.splitlines(keepends=True) if line.startswith("  monitor "))
    if line not in said:
        said = said.replace("  hash   ", f"{line}  hash   ")
    return said


def main() -> int:
    """Compare; the exit code."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        balance = str(Path(sys.executable).with_name("balance"))
        ours = play([balance], {"FAIRLEAD_RUNTIME_DIR": folder})
        original = play([sys.argv[1]], {"FAIRLEAD_RUNTIME_DIR": folder})
    lines = [text.splitlines(keepends=True) for text in (in_our_words(original, ours), ours)]
    different = list(difflib.unified_diff(*lines, sys.argv[1], "fairlead balance"))
    sys.stdout.writelines(different)
    print("different" if different else "no difference", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
