from __future__ import annotations

import pytest

from fairlead.config import schema_limits as schema
from fairlead.config.reference import limit_rows
from fairlead.config.table import keys
from harness.texts import APP, WEB, parse, wrong


@pytest.mark.parametrize("struct", [schema.Limits, schema.OverallLimits])
def test_every_limit_says_what_it_is_for_and_why(struct):
    for name, key in keys(struct).items():
        assert key.text.endswith("."), name
        assert key.why.endswith("."), name


def test_by_default_nobody_is_limited_by_address_or_number_but_by_rate():
    limits = parse(WEB + APP).config.listeners["web"].limits

    assert limits == schema.Limits()
    assert (limits.connections_per_client, limits.requests, limits.min_rate) == (None, None, 240)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("requests = 0", 'a whole number from 1 to 1000000000, or "none" for no limit'),
        ('requests = "no"', 'a whole number from 1 to 1000000000, or "none" for no limit'),
        ("min_rate = 240", 'a size in quotes, such as "64KiB" or "1MiB"'),
        ('min_rate = "0B"', "1B to 1GiB"),
        ("trailers = -1", "a whole number from 0 to 1024"),
        ("trailers = 1025", "a whole number from 0 to 1024"),
        ('trailers = "none"', "a whole number from 0 to 1024"),
        ("trailer_bytes = 8192", 'a size in quotes, such as "64KiB" or "1MiB"'),
        ('trailer_bytes = "15B"', "16B to 1MiB"),
        ('trailer_bytes = "none"', "a whole number and B, KiB, MiB, GiB or TiB"),
        ('chunk_line = "31B"', "32B to 64KiB"),
        ('chunk_line = "65KiB"', "32B to 64KiB"),
        ('chunk_excess = "17MiB"', "0B to 16MiB"),
        ("chunk_excess = true", 'a size in quotes, such as "64KiB" or "1MiB"'),
        (
            "connections_per_client = -1",
            'a whole number from 1 to 10000000, or "none" for no limit',
        ),
    ],
)
def test_errors_teach(written, expected):
    (error,) = wrong(WEB + f"limits = {{ {written} }}\n" + APP)

    assert expected in error.expected


def test_the_page_of_limits_has_all_of_them():
    names = {row[0] for row in limit_rows()}

    assert {f"listeners.NAME.limits.{name}" for name in keys(schema.Limits)} <= names
    assert "limits.connections" in names
