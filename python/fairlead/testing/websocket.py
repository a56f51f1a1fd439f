"""The backend's side of a WebSocket, as far as a test of a balancer needs it: an echo.

RFC 6455 without extensions. Messages come back as they came, pings get their pongs, a close gets
its close. Written for tests: a frame that breaks the rules ends the connection and nothing else.

Not here: what a script wants (`script`), the HTTP before it (`connection`).
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import StreamReader

# RFC 6455 §1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE, _PING, _PONG = 0x8, 0x9, 0xA
GOING_AWAY = 1001


def accept(key: str) -> str:
    """What `Sec-WebSocket-Accept` answers to this `Sec-WebSocket-Key`.

    >>> accept("dGhlIHNhbXBsZSBub25jZQ==")
    's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    # The RFC's choice of hash; nothing is kept secret by it.
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """One frame as a backend sends it: not masked."""
    first = bytes([(0x80 if final else 0) | opcode])
    size = len(payload)
    if size < 126:
        return first + bytes([size]) + payload
    if size < 1 << 16:
        return first + b"\x7e" + size.to_bytes(2, "big") + payload
    return first + b"\x7f" + size.to_bytes(8, "big") + payload


def closing(code: int) -> bytes:
    """A frame that closes, with its code."""
    return frame(_CLOSE, code.to_bytes(2, "big"))


async def read_frame(reader: StreamReader) -> tuple[int, bytes, bool]:
    """Opcode, payload and whether the message ends with it.

    Raises:
        asyncio.IncompleteReadError: The connection ended.
    """
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4) if second & 0x80 else b""
    payload = await reader.readexactly(size)
    if mask:
        key = (mask * (size // 4 + 1))[:size]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(
            size, "big"
        )
    return first & 0x0F, payload, bool(first & 0x80)


def reply(opcode: int, payload: bytes, *, final: bool) -> bytes:
    """What an echo answers to a frame; empty where nothing is to be said."""
    if opcode == _PONG:
        return b""
    return frame(_PONG if opcode == _PING else opcode, payload, final=final)


def is_close(opcode: int) -> bool:
    """Whether a frame closes the connection."""
    return opcode == _CLOSE


def is_message(opcode: int, *, final: bool) -> bool:
    """Whether a message ends with this frame."""
    return opcode < _CLOSE and final
