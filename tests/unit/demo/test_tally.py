"""What clients saw, added up."""

import pytest

from fairlead.demo.tally import Batch, Tally


def test_everything_is_counted():
    tally = Tally()
    tally.add(Batch([1.0, 30.0], ["reset"], {"ash": 2}), now=0)
    tally.add(Batch([2.0], [], {"elm": 1}), now=1)
    assert (tally.requests, tally.errors, tally.slowest_ms) == (4, 1, 30.0)
    assert list(tally.error_texts) == ["reset"]
    assert tally.by_backend == {"ash": 2, "elm": 1}


def test_percentiles_are_right_to_five_per_cent():
    tally = Tally()
    tally.add(Batch([float(ms) for ms in range(1, 1001)], [], {}), now=0)
    assert tally.percentile_ms(0.5) == pytest.approx(500, rel=0.05)
    assert tally.percentile_ms(0.99) == pytest.approx(990, rel=0.05)
    assert tally.recent_percentile_ms(0.99) == 991.0


def test_nothing_seen_is_zero():
    tally = Tally()
    assert tally.percentile_ms(0.5) == tally.recent_percentile_ms(0.5) == 0.0
    assert tally.recent_rate() == 0.0
    assert tally.recent_shares() == {}
    tally.add(Batch([], [], {}), now=0)
    assert tally.slowest_ms == 0.0


def test_the_recent_is_the_last_five_seconds():
    tally = Tally()
    for second in range(11):
        tally.add(Batch([100.0 if second < 5 else 1.0] * 10, [], {f"b{second}": 1}), now=second)
    assert tally.recent_percentile_ms(1.0) == 1.0
    assert tally.recent_rate() == pytest.approx(10.0)
    assert tally.recent_shares()["b10"] == pytest.approx(1 / 6)
    assert tally.requests == 110
