from __future__ import annotations

import pytest

from fairlead.compat.value import Value


class Place(Value):
    host: str
    port: int = 25


def test_values_are_taken_in_order_and_by_name():
    assert Place("a") == Place(host="a", port=25) == Place("a", 25)
    assert Place("a") != Place("a", 26)
    assert Place("a") != ("a", 25)
    assert {Place("a"): 1}[Place("a", 25)] == 1
    assert repr(Place("a").replace(port=7)) == "Place(host='a', port=7)"


def test_what_is_missing_or_too_much_is_no_value():
    for values, fields in (((), {}), (("a", 1, 2), {}), (("a",), {"name": 1})):
        with pytest.raises(TypeError, match="Place has host, port"):
            Place(*values, **fields)
