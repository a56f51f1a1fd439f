"""Mutated messages: those of the corpus, damaged by chance that can be played again.

Random bytes would never get past the first line, so every input begins as one or several messages
of the corpus, and is then damaged in a few places where it hurts: line ends, separators, numbers,
names that frame. Equal seeds and numbers make equal inputs.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

MOST_BYTES = 16 * 1024
"""Larger inputs are cut: sizes have their own tests."""

_SPECIAL = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b";", b",", b"\x0b", b"\x7f", b"\x80", b"\xff",
    b"#", b"%00", b"_", b"0", b"1", b"5", b"a", b"f", b"/", b"*", b"?", b"@", b'"', b"-", b"+", b"=",
]  # fmt: skip

_LINES = [
    b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: 5, 5", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"Host: other", b"Connection: close",
    b"Connection: keep-alive", b"Connection: Host, Content-Length", b"Connection: Transfer-Encoding, x",
    b"Expect: 100-continue", b"TE: trailers", b"Trailer: x", b"Upgrade: websocket", b"Connection: Upgrade",
    b"X-Forwarded-For: 6.6.6.6", b"X_Forwarded_For: 6.6.6.6", b"Max-Forwards: 0", b"Max-Forwards: 7", b"Via: 1.1 x",
    b"Keep-Alive: timeout=5", b"Set-Cookie: a=b", b"Date: then", b"Content_Length: 3", b" folded",
    b"GET /smuggled HTTP/1.1", b"HTTP/1.1 200 OK", b"HTTP/1.1 103 Early Hints", b"0", b"5", b"",
]  # fmt: skip

_WORDS = [
    (b"HTTP/1.1", b"HTTP/1.0"), (b"HTTP/1.1", b"HTTP/1.2"), (b"HTTP/1.1", b"HTTP/2.0"), (b"chunked", b"CHUNKED"),
    (b"chunked", b"chunked, chunked"), (b"chunked", b" chunked"), (b": ", b":"), (b": ", b" : "), (b": ", b":\t"),
    (b"\r\n", b"\n"), (b"\r\n", b"\r\n\r\n"), (b"\r\n", b"\r\n "), (b"GET", b"HEAD"), (b"GET", b"POST"),
    (b"POST", b"OPTIONS"), (b"POST", b"TRACE"), (b"GET", b"CONNECT"), (b"/m", b"http://other/m"),
    (b"/m", b"https://other/m"), (b"/m", b"*"), (b"-", b"_"), (b"corpus", b""), (b"corpus", b"a,b"), (b"200", b"204"),
    (b"200", b"304"), (b"200", b"101"), (b"200", b"100"), (b"OK", b""), (b"0\r\n\r\n", b"00\r\n\r\n"),
    (b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n"), (b"Content-Length", b"content-length"), (b"5", b"05"), (b"5", b"6"), (b"5", b"4"),
]  # fmt: skip

Damage = Callable[[random.Random, bytes], bytes]


def _at(chance: random.Random, data: bytes) -> int:
    return chance.randrange(len(data) + 1)


def _insert(chance: random.Random, data: bytes) -> bytes:
    at = _at(chance, data)
    return data[:at] + chance.choice(_SPECIAL) + data[at:]


def _replace(chance: random.Random, data: bytes) -> bytes:
    at = _at(chance, data)
    byte = bytes([chance.randrange(256)]) if chance.random() < 0.3 else chance.choice(_SPECIAL)
    return data[:at] + byte + data[at + 1 :]


def _remove(chance: random.Random, data: bytes) -> bytes:
    at = _at(chance, data)
    return data[:at] + data[at + chance.choice([1, 1, 1, 2, 4, 16]) :]


def _repeat(chance: random.Random, data: bytes) -> bytes:
    at = _at(chance, data)
    piece = data[at : at + chance.choice([1, 2, 8, 32, 100])]
    return data[:at] + piece * chance.choice([2, 2, 3]) + data[at + len(piece) :]


def _swap_lines(chance: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def _add_line(chance: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(_LINES))
    return b"\r\n".join(lines)


def _change_word(chance: random.Random, data: bytes) -> bytes:
    fitting = [pair for pair in _WORDS if pair[0] in data]
    if not fitting:
        return _replace(chance, data)
    word, other = chance.choice(fitting)
    places = [at for at in range(len(data)) if data.startswith(word, at)]
    at = chance.choice(places)
    return data[:at] + other + data[at + len(word) :]


def _cut(chance: random.Random, data: bytes) -> bytes:
    return data[: _at(chance, data)]


_DAMAGES: list[Damage] = [
    _insert, _replace, _remove, _repeat, _swap_lines, _add_line, _add_line, _change_word, _change_word, _cut,
]  # fmt: skip


def pieces(seed: str, number: int, data: bytes) -> list[bytes]:
    """Input ``number``, whole or cut in up to six pieces, each to be sent on its own."""
    chance = random.Random(f"{seed}/{number}/pieces")
    cuts = sorted(_at(chance, data) for _ in range(chance.choice([0, 0, 0, 1, 1, 2, 5])))
    places = [0, *cuts, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places) if end > start]


def mutated(seed: str, number: int, messages: Sequence[bytes]) -> bytes:
    """Input ``number`` of those that ``seed`` makes of these messages."""
    chance = random.Random(f"{seed}/{number}")
    data = b"".join(chance.choice(messages) for _ in range(chance.choice([1, 1, 1, 1, 2, 3])))
    for _ in range(chance.choice([0, 1, 1, 1, 2, 2, 3, 5])):
        data = chance.choice(_DAMAGES)(chance, data)
    return data[:MOST_BYTES]
