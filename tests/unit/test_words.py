"""Words that more than one part says."""

import pytest

from fairlead.words import counted


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 changes"), (1, "1 change"), (1_200, "1,200 changes")]
)
def test_a_number_of_things(count, text):
    assert counted(count, "change") == text
