"""The rules for responses, and messages that keep or break each: a table that is read by people.

A backend gets no more leniency than a client: what it sends is what our client's parser will see.
"""

from __future__ import annotations

from conformance.table import (
    BROKEN,
    CONTROLS,
    ENDS,
    LAST,
    NO_TOKEN,
    PASSES,
    Outcome,
    Rule,
    plain,
    reply,
    reply_chunks,
)

BAD = Outcome((502,))
"""Answered with 502 and `bad_response`; the client's connection stays, the backend's doesn't."""

_INNER = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"

STATUS = [
    Rule(
        "status-line",
        "RFC 9112 §4",
        "version, space, three digits from 100 to 599, space, phrase",
        BAD,
        [
            f"{line}\r\nContent-Length: 0\r\n\r\n"
            for line in (
                "HTTP/1.1 20 OK",
                "HTTP/1.1 2000 OK",
                "HTTP/1.1 099 OK",
                "HTTP/1.1 600 OK",
                "HTTP/1.1 999 OK",
                "HTTP/1.1 000 OK",
                "HTTP/1.1 +20 OK",
                "HTTP/1.1 2 0 OK",
                "HTTP/1.1 abc OK",
                "HTTP/1.1 20x OK",
                "HTTP/1.1 OK",
                "HTTP/1.1  200 OK",
                "HTTP/1.1\t200 OK",
                "HTTP/1.1 200\tOK",
                "HTTP/1.1 200OK",
                "HTTP/1.1 200.1 OK",
                "HTTP/1.1",
                "HTTP/1.1 ",
                " HTTP/1.1 200 OK",
                "HTTP/1.1 -200 OK",
                "HTTP/1.1 \xb200 OK",
            )
        ],
    ),
    Rule(
        "version",
        "RFC 9112 §2.3",
        "HTTP/1 and a digit",
        BAD,
        [
            f"{version} 200 OK\r\nContent-Length: 0\r\n\r\n"
            for version in (
                "HTTP/2.0",
                "HTTP/0.9",
                "HTTP/3.0",
                "http/1.1",
                "HTTP/1",
                "HTTP/1.10",
                "HTTP/11",
                "ICY",
                "HTTPS/1.1",
                "HTTP/a.b",
                "RTSP/1.0",
                "HTTP /1.1",
            )
        ],
    ),
    Rule(
        "phrase",
        "RFC 9112 §4",
        "a phrase has no controls",
        BAD,
        [
            f"HTTP/1.1 200 O{control}K\r\nContent-Length: 0\r\n\r\n"
            for control in (*CONTROLS[::4], "\r")
        ],
    ),
    Rule(
        "statuses",
        "RFC 9110 §15",
        "statuses pass with their phrases, known or not, or without",
        PASSES,
        [
            plain(status=status)
            for status in (
                "200 OK",
                "200 ",
                "200",
                "201 Created",
                "299 Whatever",
                "404 N\xf6t",
                "418 I'm a teapot",
                "599 X",
                "200 a\tb",
                "500 Internal",
                "303 See Other",
                "205 Reset",
                "407 Proxy",
                "426 Upgrade",
            )
        ],
    ),
    Rule(
        "no-http",
        "RFC 9112 §4",
        "what is no HTTP/1 is no answer",
        BAD,
        [
            "hello\r\n\r\n",
            "<html>HTTP/0.9</html>\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "\x15\x03\x01\0\x02\x02\x46\r\n\r\n",
            "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff",
            "220 corpus ESMTP\r\n\r\n",
            "-ERR unknown command\r\n\r\n",
            "\r\n" + plain(),
            "\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    ),
]

LINES = [
    Rule(
        "line-ends",
        "RFC 9112 §2.2",
        "lines end with CRLF",
        BAD,
        [
            "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n",
            "HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\r\nContent-Length: 0\r\n\r\n",
            plain("X: a\rb"),
            plain("X: a\r"),
            plain("X: a\rContent-Length: 3"),
        ],
    ),
    Rule(
        "control-in-value",
        "RFC 9110 §5.5",
        "controls in a value",
        BAD,
        [plain(f"X: a{control}b") for control in CONTROLS],
    ),
    Rule(
        "blank-before-colon",
        "RFC 9112 §5.1",
        "white space before a colon: refused (a proxy may take it out)",
        BAD,
        [
            plain("X : y"),
            plain("X\t: y"),
            reply("Content-Length : 5", body="hello"),
            reply("Transfer-Encoding : chunked", body=LAST),
            reply("Transfer-Encoding\t: chunked", "Content-Length: 5", body="hello"),
        ],
    ),
    Rule(
        "folding",
        "RFC 9112 §5.2",
        "obs-fold: refused (a gateway may replace it)",
        BAD,
        [
            plain("X: a", " b"),
            plain("X: a", "\tb"),
            plain("X:", " b"),
            reply("Content-Length:", " 5", body="hello"),
            " X: y\r\n".join([reply("A: b")[:-2], "\r\n"]),
        ],
    ),
    Rule(
        "name",
        "RFC 9110 §5.1",
        "a name is a token, and there is one, and a colon",
        BAD,
        [
            *[plain(f"X{char}Y: z") for char in NO_TOKEN if char != ":"],
            plain(": z"),
            plain("X\0: z"),
            plain("X\xe4: z"),
            plain("nonsense"),
            plain("HTTP/1.1 200 OK"),
        ],
    ),
    Rule(
        "values",
        "RFC 9110 §5.5",
        "tabs, spaces and bytes above 0x7F pass as they are",
        PASSES,
        [
            plain("X: a\tb"),
            plain("X: \xe4\xff"),
            plain("X:"),
            plain("x:y", "X:  z "),
            plain("Set-Cookie: a=b", "set-cookie: c"),
        ],
    ),
]

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

FIELDS = [
    Rule(
        "hop-by-hop",
        "RFC 9110 §7.6.1",
        "what is of this hop ends here",
        PASSES,
        [
            plain(line)
            for line in (
                "Keep-Alive: timeout=5",
                "Proxy-Connection: close",
                "Connection: keep-alive",
                "TE: trailers",
                "Proxy-Authenticate: Basic",
                "Proxy-Authentication-Info: x",
                "Upgrade: h2c",
                "Connection: close, X",
                "HTTP2-Settings: x",
                "Connection:",
            )
        ],
    ),
    Rule(
        "nominated",
        "RFC 9110 §7.6.1",
        "Connection takes away what it names, but not what frames or is for all",
        PASSES,
        [
            plain("Connection: X-Mine", "X-Mine: 1", "X-Other: 2"),
            plain("X-Mine: 1", "Connection: x-mine", "X-MINE: 2"),
            plain("Connection: Content-Length"),
            plain(
                "Connection: Content-Type, Cache-Control",
                "Content-Type: a/b",
                "Cache-Control: no-store",
            ),
            plain("Connection: Set-Cookie", "Set-Cookie: a=b"),
            plain("Connection: Date", "Date: Sun, 06 Nov 1994 08:49:37 GMT"),
            plain("Connection: Via", "Via: 1.1 a"),
            reply_chunks(f"5\r\nhello\r\n{LAST}", "Connection: Transfer-Encoding"),
        ],
    ),
    Rule(
        "date-and-via",
        "RFC 9110 §6.6.1",
        "a Date is added where there is none; Via always",
        PASSES,
        [
            plain("Date: Sun, 06 Nov 1994 08:49:37 GMT"),
            plain("date: x"),
            plain("Via: 1.1 a, 1.0 b"),
            plain("Server: x"),
        ],
    ),
    Rule(
        "end-to-end",
        "RFC 9110 §8.7, §10.2, §11.6.1, §14.4",
        "challenges, places, ranges and what may be asked are the backend's to say",
        PASSES,
        [
            plain('WWW-Authenticate: Basic realm="a, b"', status="401 Unauthorized"),
            plain(
                'WWW-Authenticate: Digest realm="x", nonce="y",  qop="auth", Basic realm="z"',
                "WWW-Authenticate: Bearer",
                status="401 Unauthorized",
            ),
            plain('Authentication-Info: nextnonce="x"'),
            plain("Allow: GET, HEAD,  X-OWN", status="405 Method Not Allowed"),
            plain("Allow:", status="405 Method Not Allowed"),
            plain("Location: http://inner:8080/a%2F?b#c", status="302 Found"),
            plain("Location: ../a", "Content-Location: /b", status="201 Created"),
            plain("Content-Range: bytes 0-4/10", 'ETag: "x"', status="206 Partial Content"),
            plain(
                "Content-Type: multipart/byteranges; boundary=x",
                status="206 Partial Content",
            ),
            plain("Content-Range: bytes */5", status="416 Range Not Satisfiable"),
            plain("Accept-Ranges: none", "Vary: Accept-Encoding", "Content-Encoding: gzip"),
            plain("Retry-After: 120", status="503 Service Unavailable"),
            plain("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", status="429 Too Many Requests"),
            plain(status="425 Too Early"),
        ],
        method="GET",
    ),
    Rule(
        "underscores",
        "LESSONS §3",
        "an underscored spelling of a name that matters ends here",
        PASSES,
        [plain("Set_Cookie: a=b"), plain("Transfer_Encoding: chunked"), plain("X_Other: 1")],
    ),
]

INTERIM = [
    Rule(
        "interim",
        "RFC 9110 §15.2",
        "interim responses come before the final one",
        Outcome((103, 200)),
        [
            reply("Link: </a.css>", status="103 Early Hints") + plain(),
            reply(status="103") + plain(),
            reply("Content-Length: 5", status="103 Early Hints") + plain(),
            reply("Connection: X-Mine", "X-Mine: 1", "Link: </a>", status="103 Early Hints")
            + plain(),
        ],
    ),
    Rule(
        "other-interim",
        "RFC 9110 §15.2",
        "known or not, asked for or not",
        Outcome((100, 102, 150, 200)),
        [
            reply(status="100 Continue")
            + reply(status="102 Processing")
            + reply(status="150 X")
            + plain()
        ],
    ),
    Rule(
        "interim-for-old",
        "RFC 9110 §15.2",
        "an HTTP/1.0 client knows none",
        PASSES,
        [reply(status="103 Early Hints") + plain(), reply(status="100 Continue") + plain()],
        version="HTTP/1.0",
    ),
    Rule(
        "switch",
        "RFC 9110 §7.8",
        "a switch that nobody asked for is no answer",
        BAD,
        [
            reply("Connection: Upgrade", "Upgrade: websocket", status="101 Switching Protocols"),
            reply("Connection: Upgrade", "Upgrade: h2c", status="101 Switching Protocols")
            + plain(),
            reply(status="101 Switching Protocols") + plain(),
            reply(status="103 Early Hints")
            + reply("Connection: Upgrade", "Upgrade: websocket", status="101 Switching Protocols"),
        ],
    ),
    Rule(
        "endless-interim",
        "RFC 9110 §15.2",
        "sixteen are enough",
        BAD,
        [reply(status="103 Early Hints") * 20 + plain()],
    ),
    Rule(
        "behind-interim",
        "RFC 9112 §4",
        "the final one is read as strictly",
        BAD,
        [
            reply(status="103 Early Hints") + plain("X : y"),
            reply(status="103 Early Hints") + "hello\r\n\r\n",
            reply("X : y", status="103 Early Hints") + plain(),
        ],
    ),
]

RULES = [*STATUS, *LINES, *FRAMING, *CHUNKS, *FIELDS, *INTERIM]
"""All of them."""
