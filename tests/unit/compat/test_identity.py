from __future__ import annotations

import pytest

from fairlead.compat.identity import identity
from fairlead.compat.usage import ExitError


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        (None, None),
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
    ],
)
def test_an_address_has_one_spelling(typed, address):
    assert identity(typed) == address


def test_a_name_is_asked_for():
    assert identity("localhost") in ("127.0.0.1", "::1")
    with pytest.raises(ExitError, match=r"no\.such\.host") as caught:
        identity("no.such.host.invalid")
    assert caught.value.code == 65
