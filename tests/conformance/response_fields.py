"""Single header fields of a response, and interim responses."""

from __future__ import annotations

from conformance.table import (
    BAD,
    LAST,
    PASSES,
    Outcome,
    Rule,
    plain,
    reply,
    reply_chunks,
)

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
