"""Limits, each with its default and the default's reason: their part of the schema (see `schema`).

Those of a client's head, body and connections belong to a listener; those of all together to the
instance. What is not the user's to set stands in the engine (`fairlead_model::limits`); one page
tells both, docs/reference/limits.md.
"""

from typing import Annotated

import msgspec

from fairlead.config.form import Size, Whole
from fairlead.config.table import Key

__all__ = ["Limits", "OverallLimits"]

_CONNECTIONS_MOST = 10_000_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a client is too much."""

    head: Annotated[
        int,
        Key(
            Size("256B", "1MiB"),
            "Bytes of a request head. Beyond it 431, or 414 if the request line alone is longer.",
            why="Cookies of large sites pass 16 KiB, which others take for the limit.",
        ),
    ] = 64 * 1024
    headers: Annotated[
        int,
        Key(
            Whole(1, 1024),
            "Header lines of a request; beyond it 431.",
            why="Browsers send about twenty.",
        ),
    ] = 128
    trailers: Annotated[
        int,
        Key(
            Whole(0, 1024),
            "Trailer lines behind the chunks of a body, either way. Beyond it a request gets 400, "
            "and an answer becomes a 502, or breaks off if its head is out.",
            why="Programs that send any send a few; the bound is for who reads behind fairlead.",
        ),
    ] = 32
    trailer_bytes: Annotated[
        int,
        Key(
            Size("16B", "1MiB"),
            "Bytes of all trailer lines of a body; beyond it as with `trailers`.",
            why="At most one line is held here, and the bound is for who reads behind fairlead.",
        ),
    ] = 8 * 1024
    chunk_line: Annotated[
        int,
        Key(
            Size("32B", "64KiB"),
            "Bytes of a chunk's size line; beyond it as with `trailers`.",
            why="A size takes at most 16 digits; the rest is extension, which nobody uses and "
            "which attacks are made of (Go's CVE-2023-39326).",
        ),
    ] = 256
    chunk_excess: Annotated[
        int,
        Key(
            Size("0B", "16MiB"),
            "Bytes of chunk framing in excess of what plain chunks of the same data need, with 16 "
            "allowed for each chunk; beyond it as with `trailers`.",
            why="Extensions are taken out as they pass and cost nothing but work. Go draws its "
            "line at the same place.",
        ),
    ] = 16 * 1024
    target: Annotated[
        int | None,
        Key(
            Size("16B", "1MiB"),
            "Bytes of a request's target (path and query); beyond it 414.",
            default="as many as `head` allows",
            why="Some applications put whole queries there; others, and what stands behind them, "
            "take 8 KiB.",
        ),
    ] = None
    pipelined: Annotated[
        int,
        Key(
            Size("1KiB", "16MiB"),
            "Bytes of further requests that are held while one is being answered; nothing more is "
            "read then. They are answered one after the other, in order.",
            why="Hardly anybody sends more than one at a time; it is one receive buffer.",
        ),
    ] = 64 * 1024
    body: Annotated[
        int | None,
        Key(
            Size("0B", "1024TiB", none=True),
            'Bytes of a request body, beyond it 413; "none" for no limit.',
            why="Bodies are passed on as they come and take no memory here, so what is too "
            "large is for the application to say.",
        ),
    ] = None
    connections: Annotated[
        int | None,
        Key(
            Whole(1, _CONNECTIONS_MOST),
            "Client connections at once, over all workers. At the limit a connection that has "
            "been without a request for a second is closed to make room for a newcomer; if there "
            "is none, the newcomer gets 503 (on tcp a reset).",
            default="as `connections` in `[limits]`",
            why="What one listener may take is a question only where there are several.",
        ),
    ] = None
    connections_per_client: Annotated[
        int | None,
        Key(
            Whole(1, _CONNECTIONS_MOST, none=True),
            "Of these from one address; beyond it room is made among that client's own, or it "
            "gets 503 (on tcp a reset). An IPv6 network of 64 bits counts as one address; "
            '`trusted_proxies` and Unix sockets are not counted; "none" for no limit.',
            why="Behind one address there may be a whole company, or a proxy in front that is "
            "not in `trusted_proxies`. Where neither is so, a hundred are plenty.",
        ),
    ] = None
    requests: Annotated[
        int | None,
        Key(
            Whole(1, 1_000_000_000, none=True),
            "Requests on one connection: the answer to the last says `Connection: close`; "
            '"none" for no limit.',
            why="Nothing piles up here over a connection's life. A limit makes long-lived clients "
            "connect anew, and so find other instances.",
        ),
    ] = None
    min_rate: Annotated[
        int | None,
        Key(
            Size("1B", "1GiB", none=True),
            "Bytes per second that a client has to send of a request's body, and to take of what "
            "of an answer waits for it. Who falls 30 s (or `timeouts.body`) behind with a body gets "
            "408; who has taken less than this over `timeouts.idle` is cut off. Nobody is "
            'measured who has nothing to send or to take; "none": any byte is progress. Heads have '
            "`timeouts.head` for the whole of them.",
            why="The worst of modems is ten times as fast, and who sends a byte a minute to hold "
            "a connection is not.",
        ),
    ] = 240


class OverallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is too much for the whole instance."""

    connections: Annotated[
        int | None,
        Key(
            Whole(1, _CONNECTIONS_MOST),
            "Client connections at once, at all listeners together, with room made for newcomers "
            "as in a listener. More than this process has descriptors for are never let in, "
            "whatever stands here.",
            default="half of the file descriptors that are left after a reserve for checks, the "
            "API and the log",
            why="Each client may need one for a backend as well.",
        ),
    ] = None
    memory: Annotated[
        int | None,
        Key(
            Size("64MiB", "1024TiB"),
            "Memory that the process may have. At the limit idle connections are closed for "
            "newcomers and new requests, and these get 503 (`memory_full`) until it has a tenth "
            "less; what is under way goes on. What the kernel keeps for sockets is not in it.",
            default="half of what the machine or the container has",
            why="Some hundred KiB are the most that a connection may need, so only very many "
            "come near it; the other half is for the kernel's buffers, and for others.",
        ),
    ] = None
