"""Where a response's body ends, and how it is cut into chunks."""

from __future__ import annotations

from conformance.table import (
    BAD,
    BROKEN,
    ENDS,
    LAST,
    PASSES,
    Rule,
    plain,
    reply,
    reply_chunks,
)

_INNER = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"

FRAMING = [
    Rule(
        "length",
        "RFC 9112 §6.3",
        "one number of digits",
        BAD,
        [
            reply(f"Content-Length: {length}", body="hello")
            for length in (
                "",
                "+5",
                "-5",
                "5,5",
                "5, 5",
                "5, 6",
                "0x5",
                "5 5",
                "5.0",
                "five",
                "5;",
                '"5"',
                "18446744073709551616",
                "1_0",
                "5\t0",
                "-0",
            )
        ],
    ),
    Rule(
        "two-lengths",
        "RFC 9112 §6.3",
        "several, equal or not",
        BAD,
        [
            reply("Content-Length: 5", "Content-Length: 5", body="hello"),
            reply("Content-Length: 5", "Content-Length: 6", body="hello!"),
            reply("Content-Length: 0", "content-length: 5", body="hello"),
        ],
    ),
    Rule(
        "both",
        "RFC 9112 §6.1",
        "both framings",
        BAD,
        [
            reply("Content-Length: 5", "Transfer-Encoding: chunked", body=LAST),
            reply("Transfer-Encoding: chunked", "Content-Length: 5", body=LAST),
            reply(
                "Transfer-Encoding: chunked", "Content-Length: 0", body=f"8\r\nsmuggled\r\n{LAST}"
            ),
            reply(
                "Transfer-Encoding: chunked",
                "Connection: Content-Length",
                "Content-Length: 5",
                body=LAST,
            ),
        ],
    ),
    Rule(
        "coding",
        "RFC 9112 §6.3",
        "any coding but one chunked",
        BAD,
        [
            reply(f"Transfer-Encoding: {coding}", body=LAST)
            for coding in (
                "",
                "gzip",
                "gzip, chunked",
                "chunked, gzip",
                "chunked, chunked",
                "identity",
                "xchunked",
                "chunked;q=1",
                '"chunked"',
                "chunked,",
                ", chunked",
                "cow",
                "chunked x",
            )
        ],
    ),
    Rule(
        "two-codings",
        "RFC 9112 §6.3",
        "on one line or several",
        BAD,
        [
            reply("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=LAST),
            reply("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", body=LAST),
            reply("Transfer-Encoding: gzip", "Transfer-Encoding: chunked", body=LAST),
        ],
    ),
    Rule(
        "coding-in-old",
        "RFC 9112 §6.1",
        "HTTP/1.0 knows none",
        BAD,
        [
            reply("Transfer-Encoding: chunked", version="HTTP/1.0", body=LAST),
            reply(
                "Transfer-Encoding: chunked",
                "Connection: keep-alive",
                version="HTTP/1.0",
                body=LAST,
            ),
        ],
    ),
    Rule(
        "lengths",
        "RFC 9112 §6.3",
        "a body ends where its length says",
        PASSES,
        [
            plain(),
            plain(body=""),
            reply("Content-Length: 005", body="hello"),
            reply("Content-Length: 00"),
            reply("content-length:5", body="hello"),
            plain(body=_INNER),
            plain(body=LAST),
            plain(body="".join(map(chr, range(256)))),
            reply("Content-Length: 5", "Connection: keep-alive", version="HTTP/1.0", body="hello"),
            reply("Content-Length: 5", version="HTTP/1.0", body="hello"),
            reply("Content-Length: 5", "Connection: close", body="hello"),
            reply("Content-Length: 5", version="HTTP/1.7", body="hello"),
            reply("Content_Length: 3", "Content-Length: 5", body="hello"),
        ],
    ),
    Rule(
        "behind",
        "RFC 9112 §9.3.2",
        "what comes behind an answer is no answer to the next request",
        PASSES,
        [
            plain() + _INNER,
            plain() + "x",
            plain() + "\r\n",
            reply(status="204 No Content") + _INNER,
            reply(status="304 Not Modified") + _INNER,
            reply("Content-Length: 8", status="204 No Content", body="smuggled"),
            reply("Content-Length: 8", status="304 Not Modified", body="smuggled"),
            reply_chunks(f"5\r\nhello\r\n{LAST}") + _INNER,
            reply_chunks(LAST) + LAST,
        ],
    ),
    Rule(
        "behind-head",
        "RFC 9110 §9.3.2",
        "an answer to HEAD has no body whatever it says",
        PASSES,
        [
            reply("Content-Length: 5"),
            reply("Content-Length: 5", body="hello"),
            reply("Content-Length: 8", body="smuggled" + _INNER),
            reply("Transfer-Encoding: chunked"),
            reply("Transfer-Encoding: chunked", body=f"5\r\nhello\r\n{LAST}"),
            reply(),
            reply("Content-Length: 0"),
        ],
        method="HEAD",
    ),
    Rule(
        "bodiless",
        "RFC 9112 §6.3",
        "204 and 304 have no body",
        PASSES,
        [
            reply(status="204 No Content"),
            reply("Content-Length: 0", status="204 No Content"),
            reply('ETag: "a"', status="304 Not Modified"),
            reply("Content-Length: 500", status="304 Not Modified"),
            reply("Transfer-Encoding: chunked", status="304 Not Modified"),
        ],
    ),
    Rule(
        "coding-without-body",
        "RFC 9112 §6.1",
        "1xx and 204 have no transfer coding",
        BAD,
        [
            reply("Transfer-Encoding: chunked", status="204 No Content"),
            reply("Transfer-Encoding: chunked", status="204 No Content", body=LAST),
            reply("Transfer-Encoding: chunked", status="103 Early Hints", body=LAST) + plain(),
            reply("Transfer-Encoding: chunked", status="100 Continue") + plain(),
        ],
    ),
    Rule(
        "until-close",
        "RFC 9112 §6.3",
        "without framing the body ends with the connection; it gets chunks",
        PASSES,
        [
            reply(body="hello"),
            reply(),
            reply(version="HTTP/1.0", body="hello"),
            reply("Connection: close", body=_INNER),
            reply("Connection: keep-alive", body="hello"),
            reply("Content_Length: 5", body="hello!"),
            reply(body=LAST),
        ],
        then="closes",
    ),
    Rule(
        "until-close-old",
        "RFC 9112 §6.3",
        "for an HTTP/1.0 client it ends with the connection here, too",
        ENDS,
        [reply(body="hello"), reply(version="HTTP/1.0", body="hello")],
        version="HTTP/1.0",
        then="closes",
    ),
    Rule(
        "chunks-for-old",
        "RFC 9112 §6.1",
        "an HTTP/1.0 client gets no chunks",
        ENDS,
        [
            reply_chunks(f"5\r\nhello\r\n{LAST}"),
            reply_chunks("5;a\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n", "Trailer: X-Sum"),
        ],
        version="HTTP/1.0",
    ),
    Rule(
        "truncated",
        "RFC 9112 §8",
        "what breaks off is seen to be broken",
        BROKEN,
        [
            reply("Content-Length: 100", body="hello"),
            reply("Content-Length: 1"),
            reply_chunks("5\r\nhello\r\n"),
            reply_chunks("5\r\nhel"),
            reply_chunks("5\r\nhello\r\n0\r\n"),
            reply_chunks("5\r\nhello\r\n0\r\nX: y\r\n"),
            reply_chunks("5"),
            reply_chunks(""),
        ],
        then="closes",
    ),
    Rule(
        "broken-head",
        "RFC 9112 §8",
        "a head that breaks off is no answer",
        BAD,
        [
            "HTTP/1.1 200 OK\r\nContent-Le",
            "HTTP/1.1 200 OK\r\n",
            "HTTP",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        ],
        then="closes",
    ),
]

CHUNKS = [
    Rule(
        "chunk-size",
        "RFC 9112 §7.1",
        "hexadecimal digits alone, and they fit",
        BAD,
        [
            reply_chunks(f"{size}\r\nhello\r\n{LAST}")
            for size in (
                "",
                "-5",
                "+5",
                "0x5",
                "g",
                " 5",
                "5 ",
                "5 x",
                "5,",
                "0_5",
                "\xb5",
                "10000000000000005",
                "5\0",
                "ffffffffffffffffff",
            )
        ],
    ),
    Rule(
        "chunk-lines",
        "RFC 9112 §7.1",
        "lines end with CRLF, data where its size says",
        BAD,
        [
            reply_chunks(body)
            for body in (
                f"5\nhello\r\n{LAST}",
                f"5\r\nhello\n{LAST}",
                f"5\r\nhelloworld\r\n{LAST}",
                f"5\r\nhello{LAST}",
                "5\r\nhello\r\n0\n\r\n",
                "5\r\nhello\r\n0\r\n\n",
                f"5;a\nb\r\nhello\r\n{LAST}",
                f"5\r\r\nhello\r\n{LAST}",
                f"4\r\nhello\r\n{LAST}",
                f"5;{'a' * 260}\r\nhello\r\n{LAST}",
                f"5;a\0\r\nhello\r\n{LAST}",
                f"\r\n5\r\nhello\r\n{LAST}",
            )
        ],
    ),
    Rule(
        "bad-trailers",
        "RFC 9112 §7.1.2",
        "a trailer is a header line",
        BAD,
        [
            reply_chunks(f"0\r\n{lines}\r\n")
            for lines in (
                "nonsense\r\n",
                "X : y\r\n",
                ": y\r\n",
                "X: y\r\n z\r\n",
                "X: y\n",
                "X: \0\r\n",
                "X: y\r\n" * 33,
            )
        ],
    ),
    Rule(
        "chunk-forms",
        "RFC 9112 §7.1",
        "other forms are written anew, extensions left out",
        PASSES,
        [
            reply_chunks(body)
            for body in (
                f"5\r\nhello\r\n{LAST}",
                LAST,
                f"005\r\nhello\r\n{LAST}",
                f"5;a=b\r\nhello\r\n{LAST}",
                f"5 ;a\r\nhello\r\n{LAST}",
                "5\r\nhello\r\n00;x\r\n\r\n",
                f"A\r\nhelloworld\r\n{LAST}",
                f"1\r\nh\r\n4\r\nello\r\n{LAST}",
            )
        ],
    ),
    Rule(
        "trailers",
        "RFC 9110 §6.5",
        "trailers go on, but for those that have to come before",
        PASSES,
        [
            reply_chunks(f"0\r\n{lines}\r\n")
            for lines in (
                "X-Sum: 1\r\n",
                "X-Sum: 1\r\nContent-Length: 5\r\n",
                "Set-Cookie: a=b\r\nX-Sum: 1\r\n",
                "Transfer-Encoding: chunked\r\n",
                "Connection: close\r\n",
                "Content-Type: a/b\r\nETag: x\r\n",
                "Content_Length: 5\r\n",
            )
        ]
        + [reply_chunks("0\r\nX-Sum: 1\r\nX-Mine: 2\r\n\r\n", "Connection: x-mine")],
    ),
]
