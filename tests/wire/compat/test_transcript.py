"""Every command of `-i` against a recorded conversation, byte for byte.

`transcript.txt` is what balance 3.54 prints, with balance.fm's three states and its line of help
for `monitor`; each line of it was held against their sources and manual. Their programs themselves
are compared by `tools/compare_balance.py PROGRAM`, where somebody has one.
"""

from __future__ import annotations

from pathlib import Path

from harness.balancer import PROGRAM
from harness.conversation import play

RECORDED = Path(__file__).with_name("transcript.txt")


def test_the_shell_answers_as_recorded(place) -> None:
    said = play([str(PROGRAM), "balance"], {"FAIRLEAD_RUNTIME_DIR": str(place.folder)})

    assert said.splitlines() == RECORDED.read_text().splitlines()
