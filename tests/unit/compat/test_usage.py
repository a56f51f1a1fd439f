from __future__ import annotations

import re

from fairlead.compat import arguments, usage


def test_the_usage_names_every_letter():
    letters = set(arguments._WITH_VALUE + arguments._FLAGS)

    assert set(re.findall(r"^  -(\w) ", usage.USAGE_TEXT, re.MULTILINE)) == letters


def test_the_codes_are_those_of_sysexits():
    assert (usage.USAGE, usage.DATA_ERROR, usage.NO_INPUT) == (64, 65, 66)
    assert (usage.UNAVAILABLE, usage.SOFTWARE, usage.OS_ERROR) == (69, 70, 71)
    assert usage.UsageError("x").code == 64
    assert (usage.NobodyError().code, str(usage.NobodyError())) == (
        69,
        "no master process, exiting.",
    )
