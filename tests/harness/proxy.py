"""PROXY headers as a proxy would send them, and as a backend would read them. No code is shared with
fairlead's own."""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

from harness.line import Line

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Said(NamedTuple):
    """What a header says: ``v1`` or ``v2``, LOCAL or PROXY, and who speaks to whom."""

    version: str
    command: str
    source: str = ""
    destination: str = ""


def v1(source: str = "203.0.113.9", port: int = 4711, to: str = "198.51.100.1") -> bytes:
    """A header of version 1 for a client of this address."""
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {to} {port} 443\r\n".encode()


def v2(
    source: str = "203.0.113.9",
    port: int = 4711,
    to: str = "198.51.100.1",
    tlvs: bytes = b"",
    command: int = 0x21,
) -> bytes:
    """The same of version 2, with these TLVs behind it."""
    addresses = [ipaddress.ip_address(each) for each in (source, to)]
    family = 0x11 if addresses[0].version == 4 else 0x21
    block = b"".join(each.packed for each in addresses) + struct.pack("!HH", port, 443) + tlvs
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


def local() -> bytes:
    """What a proxy says of its own checks, in version 2."""
    return SIGNATURE + b"\x20\x00\x00\x00"


def take(line: Line) -> Said:
    """Read a header off the beginning of a connection; fails if there is none."""
    if line.peek(6)[:6] == b"PROXY ":
        words = line.read_line().decode().split(" ")
        if words[1] == "UNKNOWN":
            return Said("v1", "LOCAL")
        _, _, source, destination, source_port, port = words
        return Said("v1", "PROXY", f"{source}:{source_port}", f"{destination}:{port}")
    assert line.read(12) == SIGNATURE
    command, family, length = struct.unpack("!BBH", line.read(4))
    block = line.read(length)
    assert command in (0x20, 0x21)
    if command == 0x20 or family == 0:
        return Said("v2", "LOCAL" if command == 0x20 else "PROXY")
    size = {0x11: 4, 0x21: 16}[family]
    assert length == 2 * size + 4, "there are bytes behind the addresses"
    source, destination = (ipaddress.ip_address(block[at : at + size]) for at in (0, size))
    ports = struct.unpack("!HH", block[2 * size :])
    return Said("v2", "PROXY", f"{source}:{ports[0]}", f"{destination}:{ports[1]}")
