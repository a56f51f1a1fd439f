from __future__ import annotations

from fairlead.compat.port import is_address, parse_port


def test_ports_are_numbers_or_services():
    assert [parse_port(text) for text in ("1", "65535", "smtp")] == [1, 65_535, 25]
    assert [parse_port(text) for text in ("0", "65536", "-1", "", "no-such", "٣")] == [None] * 6


def test_addresses_are_told_from_names():
    assert is_address("10.0.0.1")
    assert is_address("::1")
    assert not is_address("localhost")
    assert not is_address("10.1")
