"""The rules for where a request's body ends: lengths, codings, chunks, trailers."""

from __future__ import annotations

from conformance.table import (
    CONTROLS,
    LAST,
    PASSES,
    Outcome,
    Rule,
    chunks,
    get,
    post,
    refused,
)

_FORBIDDEN_TRAILERS = [
    "Content-Length: 3",
    "Transfer-Encoding: chunked",
    "Host: evil",
    "Connection: close",
    "Authorization: Basic x",
    "Cookie: a=b",
    "Content-Type: a/b",
    "Content-Encoding: gzip",
    "Cache-Control: no-store",
    "Expect: 100-continue",
    "Max-Forwards: 1",
    "TE: trailers",
    "Trailer: X",
    "Upgrade: h2c",
    "X-Forwarded-For: 6.6.6.6",
    "X-Real-IP: 6.6.6.6",
    "Forwarded: for=6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "Via: 1.1 x",
]

FRAMING = [
    Rule(
        "length",
        "RFC 9112 §6.3",
        "Content-Length is one number of digits, and fits",
        refused(),
        [
            post(f"Content-Length: {length}", body="hello")
            for length in (
                "",
                "+5",
                "-5",
                "5,5",
                "5, 5",
                "5,6",
                "5,",
                ",5",
                "0x5",
                "5 5",
                "5.0",
                "5e0",
                "five",
                "5;",
                "'5'",
                '"5"',
                "5\t5",
                "\xb5",
                "1_0",
                "0b101",
                "#5",
                "5#",
                "18446744073709551616",
                "99999999999999999999999999",
                "184467440737095516150000000000000005",
                "-0",
                "+0",
                "5\xa0",
            )
        ],
    ),
    Rule(
        "two-lengths",
        "RFC 9112 §6.3",
        "several are refused, equal or not",
        refused(),
        [
            post("Content-Length: 5", "Content-Length: 5", body="hello"),
            post("Content-Length: 5", "Content-Length: 6", body="hello!"),
            post("Content-Length: 0", "Content-Length: 5", body="hello"),
            post("Content-Length: 5", "X: y", "content-length: 0", body="hello"),
            post("Content-Length: 5", "Content-Length:", body="hello"),
            post("Content-Length:", "Content-Length: 5", body="hello"),
        ],
    ),
    Rule(
        "lengths",
        "RFC 9112 §6.3",
        "a body ends where its length says, with any method",
        PASSES,
        [
            post("Content-Length: 5", body="hello"),
            post("Content-Length: 0"),
            post("Content-Length: 00"),
            post("content-LENGTH:5", body="hello"),
            post("Content-Length: 005", body="hello"),
            post("Content-Length: 5", body="hello", method="GET"),
            post("Content-Length: 5", body="hello", method="DELETE"),
            post("Content-Length: 5", body="hello", method="OPTIONS"),
            post("Content-Length: 9", body="GET / HTT"),
            post("Content-Length: 18", body="GET / HTTP/1.1\r\n\r\n"),
            post("Content-Length: 5", body="0\r\n\r\n"),
            post("Content-Length: 4", body="\r\n\r\n"),
            post("Content-Length: 256", body="".join(map(chr, range(256)))),
        ],
    ),
    Rule(
        "coding-and-length",
        "RFC 9112 §6.1",
        "both framings: refused and closed",
        refused(),
        [
            *[
                post(*order, body=LAST)
                for length in ("0", "5", "6", "1000")
                for order in (
                    (f"Content-Length: {length}", "Transfer-Encoding: chunked"),
                    ("Transfer-Encoding: chunked", f"Content-Length: {length}"),
                )
            ],
            post(
                "Transfer-Encoding: chunked",
                "Connection: Content-Length",
                "Content-Length: 5",
                body=LAST,
            ),
            post(
                "Content-Length: 5",
                "Connection: Transfer-Encoding",
                "Transfer-Encoding: chunked",
                body=LAST,
            ),
            post("Transfer-Encoding: CHUNKED", "content-length: 5", body=LAST),
        ],
    ),
    Rule(
        "coding",
        "RFC 9112 §6.3",
        "a coding that says nothing sure about the end",
        refused(),
        [
            *[
                post(f"Transfer-Encoding: {coding}", body=LAST)
                for coding in (
                    "",
                    "identity",
                    "gzip",
                    "chunked, gzip",
                    "chunked, chunked",
                    "chunked,",
                    ",chunked",
                    "xchunked",
                    "chunkedx",
                    "chunked;q=1",
                    "chunked ;a=b",
                    "chunked x",
                    '"chunked"',
                    "chunked, identity",
                    "chun ked",
                    "chunked\tx",
                    "ch\xa0unked",
                    "cow",
                    "0",
                    "chunk",
                    "{chunked}",
                    "chunked/1",
                )
            ],
            post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=LAST),
            post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=LAST),
            post("Transfer-Encoding: identity", "Transfer-Encoding: chunked", body=LAST),
            post("Transfer-Encoding: chunked", "transfer-encoding: cow", body=LAST),
            post("Transfer-Encoding:", "Transfer-Encoding: chunked", body=LAST),
        ],
    ),
    Rule(
        "other-coding",
        "RFC 9112 §6.1",
        "a coding that is right but not supported",
        refused(501),
        [
            post(f"Transfer-Encoding: {coding}", body=LAST)
            for coding in (
                "gzip, chunked",
                "deflate,chunked",
                "gzip, deflate, chunked",
                "cow ,\tChunked",
                "x-y, chunked",
            )
        ],
    ),
    Rule(
        "coding-in-old",
        "RFC 9112 §6.1",
        "HTTP/1.0 knows no transfer coding",
        refused(),
        [
            post("Transfer-Encoding: chunked", version="HTTP/1.0", body=LAST),
            post(
                "Transfer-Encoding: chunked",
                "Connection: keep-alive",
                version="HTTP/1.0",
                body=LAST,
            ),
            post("Transfer-Encoding: chunked", "Content-Length: 5", version="HTTP/1.0", body=LAST),
        ],
    ),
    Rule(
        "codings",
        "RFC 9112 §7.1",
        "chunked, in any case",
        PASSES,
        [
            post("Transfer-Encoding: chunked", body=f"5\r\nhello\r\n{LAST}"),
            post("Transfer-Encoding: Chunked", body=f"5\r\nhello\r\n{LAST}"),
            post("transfer-encoding:  CHUNKED\t", body=f"5\r\nhello\r\n{LAST}"),
            post("Transfer-Encoding: chunked", body=LAST, method="GET"),
        ],
    ),
    Rule(
        "near-framing",
        "RFC 9110 §5.1",
        "names that look like framing are none, and the underscored end here",
        PASSES,
        [
            get("Transfer_Encoding: chunked"),
            get("Content_Length: 5"),
            get("TRANSFER_ENCODING: chunked"),
            get("Transfer-Encodin: chunked"),
            get("X-Transfer-Encoding: chunked"),
            get("Transfer-Encodings: chunked"),
            get("Content-Lengt: 5"),
            get("Content-Length-X: 5"),
            get("ContentLength: 5"),
            get("Transfer.Encoding: chunked"),
        ],
    ),
    Rule(
        "no-framing",
        "RFC 9112 §6.3",
        "without either there is no body: what follows is a request",
        Outcome((200, 400), closes=True),
        [post(body="hello\r\n\r\n"), post(body="0\r\n\r\n"), post(body="5\r\nhello\r\n0\r\n\r\n")],
    ),
]

CHUNKS = [
    Rule(
        "chunk-size",
        "RFC 9112 §7.1",
        "a size is hexadecimal digits alone, and fits",
        refused(),
        [
            chunks(f"{size}\r\nhello\r\n{LAST}")
            for size in (
                "",
                "-5",
                "+5",
                "0x5",
                "0X5",
                "5h",
                "g",
                " 5",
                "\t5",
                "5 x",
                "5,",
                "5.0",
                "0_5",
                "\xb5",
                "five",
                "#5",
                "{5}",
                "5\0",
                "\x005",
                "5\x0b",
                "10000000000000005",
                "00000000000000005",
                "ffffffffffffffffff",
                "FFFFFFFFFFFFFFFFF",
                "5:5",
                "5=5",
            )
        ],
    ),
    Rule(
        "chunk-size-blank",
        "RFC 9112 §7.1.1",
        "white space behind a size without an extension",
        refused(),
        [chunks(f"5 \r\nhello\r\n{LAST}"), chunks(f"5\t\r\nhello\r\n{LAST}")],
    ),
    Rule(
        "chunk-lines",
        "RFC 9112 §7.1",
        "its lines end with CRLF",
        refused(),
        [
            chunks(body)
            for body in (
                f"5\nhello\r\n{LAST}",
                f"5\r\nhello\n{LAST}",
                f"5\rhello\r\n{LAST}",
                f"5\r\nhello\r{LAST}",
                f"5\r\r\nhello\r\n{LAST}",
                "5\r\nhello\r\n0\n\r\n",
                "5\r\nhello\r\n0\r\n\n",
                "5\r\nhello\r\n0\n\n",
                f"5;a\nb\r\nhello\r\n{LAST}",
                f"5;a\rb\r\nhello\r\n{LAST}",
                f"5;\nhello\r\n{LAST}",
                "0\r\n\rX",
                f"\r\n5\r\nhello\r\n{LAST}",
                f"5\r\nhello\r\n\r\n{LAST}",
            )
        ],
    ),
    Rule(
        "chunk-data",
        "RFC 9112 §7.1",
        "data ends where its size says",
        refused(),
        [
            chunks(body)
            for body in (
                f"5\r\nhelloworld\r\n{LAST}",
                f"5\r\nhell\r\n{LAST}",
                f"5\r\nhello{LAST}",
                f"4\r\nhello\r\n{LAST}",
                f"6\r\nhello\r\n{LAST}",
                f"5\r\nhelloXX{LAST}",
                "1\r\na0\r\n\r\n",
            )
        ],
    ),
    Rule(
        "chunk-extension",
        "RFC 9112 §7.1.1",
        "controls in an extension, or more than 256 bytes of it",
        refused(),
        [
            *[chunks(f"5;a={control}\r\nhello\r\n{LAST}") for control in CONTROLS[::3]],
            chunks(f"5;{'a' * 260}\r\nhello\r\n{LAST}"),
            chunks(f"5{' ' * 300};a\r\nhello\r\n{LAST}"),
        ],
    ),
    Rule(
        "chunk-extensions",
        "RFC 9112 §7.1.1",
        "extensions are left out",
        PASSES,
        [
            chunks(body)
            for body in (
                f"5;a\r\nhello\r\n{LAST}",
                f'5;a=b;c="d"\r\nhello\r\n{LAST}',
                f"5 ; a = b\r\nhello\r\n{LAST}",
                f"5;\r\nhello\r\n{LAST}",
                f"5;;;\r\nhello\r\n{LAST}",
                "5\r\nhello\r\n0;last\r\n\r\n",
                f"5;\xe4\r\nhello\r\n{LAST}",
            )
        ],
    ),
    Rule(
        "chunk-forms",
        "RFC 9112 §7.1",
        "sizes in other forms are written anew",
        PASSES,
        [
            chunks(body)
            for body in (
                f"05\r\nhello\r\n{LAST}",
                f"0000000000000005\r\nhello\r\n{LAST}",
                f"A\r\nhelloworld\r\n{LAST}",
                f"a\r\nhelloworld\r\n{LAST}",
                "5\r\nhello\r\n000\r\n\r\n",
                f"1\r\nh\r\n4\r\nello\r\n{LAST}",
                f"5\r\n\r\n\r\n0\r\n{LAST}",
                f"12\r\nGET / HTTP/1.1\r\n\r\n\r\n{LAST}",
            )
        ],
    ),
    Rule(
        "trailers",
        "RFC 9110 §6.5",
        "trailers go on",
        PASSES,
        [
            chunks(f"2\r\nhi\r\n0\r\n{lines}\r\n", "Trailer: X-Sum")
            for lines in (
                "X-Sum: 1\r\n",
                "X-Sum: 1\r\nX-Other: 2\r\n",
                "X-Sum:\r\n",
                'ETag: "a"\r\n',
            )
        ],
    ),
    Rule(
        "forbidden-trailers",
        "RFC 9110 §6.5.1",
        "not those that frame, route, authenticate or identify",
        PASSES,
        [chunks(f"2\r\nhi\r\n0\r\nX-Sum: 1\r\n{line}\r\n\r\n") for line in _FORBIDDEN_TRAILERS],
    ),
    Rule(
        "nominated-trailers",
        "RFC 9110 §7.6.1",
        "nor those that Connection names",
        PASSES,
        [
            chunks("0\r\nX-Sum: 1\r\nX-Mine: 2\r\n\r\n", "Connection: X-Mine"),
            chunks(
                "0\r\nX-Sum: 1\r\nX-Mine: 2\r\n\r\n", "Connection: te, x-sum", "Connection: X-MINE"
            ),
        ],
    ),
    Rule(
        "bad-trailers",
        "RFC 9112 §7.1.2",
        "a trailer is a header line",
        refused(),
        [
            chunks(f"2\r\nhi\r\n0\r\n{lines}\r\n")
            for lines in (
                "nonsense\r\n",
                "X : y\r\n",
                ": y\r\n",
                "X: y\r\n z\r\n",
                " X: y\r\n",
                "X: y\n",
                "X: \0\r\n",
                "X\x01: y\r\n",
                "X: a\rb\r\n",
                "GET / HTTP/1.1\r\n",
            )
        ],
    ),
    Rule(
        "many-trailers",
        "RFC 9110 §6.5",
        "32 trailers of 8 KiB are enough",
        refused(),
        [
            chunks("0\r\n" + "X: y\r\n" * 33 + "\r\n"),
            chunks("0\r\n" + f"X: {'y' * 900}\r\n" * 10 + "\r\n"),
        ],
    ),
]
