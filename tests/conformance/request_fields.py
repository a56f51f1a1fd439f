"""The rules for fields that an intermediary has to understand, and for connections."""

from __future__ import annotations

from conformance.table import (
    ENDS,
    HOST,
    LAST,
    PASSES,
    Outcome,
    Rule,
    answered,
    get,
    post,
    refused,
)

FIELDS = [
    Rule(
        "expectation",
        "RFC 9110 §10.1.1",
        "an expectation other than 100-continue fails",
        refused(417),
        [
            get("Expect: the-impossible"),
            get("Expect: 100-continue, more"),
            get("Expect: 100-continue;q=1"),
            get('Expect: "100-continue"'),
            get("Expect: 100-continue", "Expect: 200-ok"),
            get("Expect: 100"),
            get("Connection: Expect", "Expect: x"),
        ],
    ),
    Rule(
        "expectations",
        "RFC 9110 §10.1.1",
        "100-continue goes on",
        PASSES,
        [
            post("Expect: 100-continue", "Content-Length: 2", body="hi"),
            post("expect: 100-Continue", "Transfer-Encoding: chunked", body=f"2\r\nhi\r\n{LAST}"),
            get("Expect: 100-continue"),
            get("Expect:"),
        ],
    ),
    Rule(
        "old-expectation",
        "RFC 9110 §10.1.1",
        "in HTTP/1.0 it means nothing",
        ENDS,
        [post("Expect: 100-continue", "Content-Length: 2", body="hi", version="HTTP/1.0")],
    ),
    Rule(
        "last-hop",
        "RFC 9110 §7.6.2",
        "OPTIONS with Max-Forwards: 0 is answered here",
        answered(200),
        [
            get("Max-Forwards: 0", method="OPTIONS"),
            get("max-forwards: 000", method="OPTIONS", target="*"),
            get("Max-Forwards: 5", "Max-Forwards: 0", method="OPTIONS"),
            get("Max-Forwards: 0", "Connection: Max-Forwards", method="OPTIONS"),
        ],
    ),
    Rule(
        "last-trace",
        "RFC 9110 §9.3.8",
        "TRACE with Max-Forwards: 0 shows nobody what it carried",
        answered(405),
        [
            get("Max-Forwards: 0", method="TRACE"),
            get("Max-Forwards: 0", "Cookie: a=b", method="TRACE"),
        ],
    ),
    Rule(
        "forwards",
        "RFC 9110 §7.6.2",
        "otherwise one is taken off",
        PASSES,
        [
            *[
                get(f"Max-Forwards: {number}", method="OPTIONS")
                for number in (1, 2, 10, 18446744073709551615)
            ],
            get("Max-Forwards: 1", method="TRACE"),
            get("Max-Forwards: 3", "Max-Forwards: 2", method="TRACE"),
            get("Max-Forwards: 1", "Connection: Max-Forwards", method="OPTIONS"),
            get("Max-Forwards: 0", method="GET"),
            get("Max-Forwards: x", method="GET"),
        ],
    ),
    Rule(
        "bad-forwards",
        "RFC 9110 §7.6.2",
        "it is a number",
        refused(),
        [
            get(f"Max-Forwards: {number}", method=method)
            for method in ("OPTIONS", "TRACE")
            for number in ("", "-1", "+1", "1.5", "x", "1, 2", "18446744073709551616")
        ],
    ),
    Rule(
        "trace-body",
        "RFC 9110 §9.3.8",
        "TRACE has no content",
        refused(),
        [
            post("Content-Length: 1", body="x", method="TRACE"),
            post("Transfer-Encoding: chunked", body=LAST, method="TRACE"),
        ],
    ),
    Rule(
        "upgrade",
        "RFC 9110 §7.8",
        "websocket goes on, in a GET of HTTP/1.1 that says so in Connection",
        PASSES,
        [
            get("Connection: Upgrade", "Upgrade: websocket"),
            get("Connection: keep-alive, upgrade", "Upgrade: WebSocket"),
            get("Connection: Upgrade", "Upgrade: h2c, websocket"),
            get("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 0"),
        ],
    ),
    Rule(
        "other-upgrade",
        "RFC 9110 §7.8",
        "any other offer is left out",
        PASSES,
        [
            get(
                "Connection: Upgrade, HTTP2-Settings",
                "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABkAAQAAP__",
            ),
            get("HTTP2-Settings: AAMAAABkAAQAAP__"),
            get("Connection: Upgrade", "Upgrade: h2c"),
            get("Connection: Upgrade", "Upgrade: TLS/1.0"),
            get("Connection: Upgrade", "Upgrade: websocket/13"),
            get("Connection: Upgrade", "Upgrade: foo, bar"),
            get("Upgrade: websocket"),
            get("Connection: Upgrade"),
            get("Connection: Upgrade", "Upgrade: websocket", method="DELETE"),
            post("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2", body="hi"),
            post(
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Transfer-Encoding: chunked",
                body=LAST,
                method="GET",
            ),
        ],
    ),
    Rule(
        "old-upgrade",
        "RFC 9110 §7.8",
        "an offer in HTTP/1.0 means nothing",
        ENDS,
        [get("Connection: Upgrade", "Upgrade: websocket", version="HTTP/1.0")],
    ),
    Rule(
        "te",
        "RFC 9110 §10.1.4",
        "TE is of this hop; trailers alone are asked for on the next, in Connection too",
        PASSES,
        [
            get("TE: trailers"),
            get("TE: trailers", "Connection: TE"),
            get("TE: gzip, Trailers;q=0.5"),
            get("TE: deflate;q=0.5, TRAILERS"),
            get("TE: gzip"),
            get("TE:"),
            get("TE: chunked"),
        ],
    ),
    Rule(
        "hop-by-hop",
        "RFC 9110 §7.6.1",
        "what is of this hop ends here",
        PASSES,
        [
            get(line)
            for line in (
                "Keep-Alive: timeout=5",
                "Proxy-Connection: keep-alive",
                "Proxy-Authorization: Basic x",
                "Proxy-Authenticate: Basic",
                "Proxy: http://evil/",
                "Connection: keep-alive",
                "Connection:",
                "Connection: keep-alive, , ,",
                'Connection: "a b"',
                "Connection: foo@bar",
                "Proxy-Authentication-Info: x",
            )
        ],
    ),
    Rule(
        "nominated",
        "RFC 9110 §7.6.1",
        "Connection takes away what it names",
        PASSES,
        [
            get("Connection: X-Mine", "X-Mine: 1", "X-Other: 2"),
            get("X-Mine: 1", "Connection: x-MINE", "x-mine: 2"),
            get("Connection: a", "Connection: X-Mine,b", "X-Mine: 1"),
            get("Connection: Cookie", "Cookie: a=b"),
            get("Connection: Authorization", "Authorization: Basic x"),
            get("Connection: Accept-Encoding, Range", "Range: bytes=0-", "Accept-Encoding: gzip"),
        ],
    ),
    Rule(
        "not-nominated",
        "RFC 9110 §7.6.1",
        "but not what frames the message, is for all, or is ours",
        PASSES,
        [
            get("Connection: Host"),
            post("Connection: Content-Length", "Content-Length: 2", body="hi"),
            post("Connection: Transfer-Encoding", "Transfer-Encoding: chunked", body=LAST),
            get(
                "Connection: Content-Type, Content-Encoding",
                "Content-Type: a/b",
                "Content-Encoding: gzip",
            ),
            get("Connection: Cache-Control", "Cache-Control: no-store"),
            get(
                "Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host",
                "X-Forwarded-For: 6.6.6.6",
            ),
            get("Connection: X-Request-Id, Via", "Via: 1.0 fred"),
            get("Connection: Connection"),
            get("Connection: Date", "Date: Sun, 06 Nov 1994 08:49:37 GMT"),
            post("Connection: Expect", "Expect: 100-continue", "Content-Length: 2", body="hi"),
        ],
    ),
    Rule(
        "options-of-connection",
        "RFC 9110 §7.6.1",
        "more than 32 options are refused",
        refused(),
        [get("Connection: " + "a," * 33), get(*["Connection: a"] * 33)],
    ),
    Rule(
        "strangers-claims",
        "INTERFACE §4",
        "who the client was is said by us alone",
        PASSES,
        [
            get(line)
            for line in (
                "X-Forwarded-For: 6.6.6.6",
                "X-Forwarded-Proto: https",
                "X-Forwarded-Host: evil",
                "X-Forwarded-Port: 1",
                "X-Forwarded-Prefix: /evil",
                "X-Forwarded-Server: evil",
                "Forwarded: for=6.6.6.6",
                "X-Real-IP: 6.6.6.6",
                "X-Request-Id: evil",
                "X_Forwarded_For: 6.6.6.6",
                "x-forwarded_for: 6.6.6.6",
                "X_REAL_IP: 6.6.6.6",
                "X_Request-Id: evil",
                "X_Forwarded_Anything: 1",
            )
        ],
    ),
    Rule(
        "underscores",
        "LESSONS §3",
        "an underscored spelling of a name that matters ends here; others pass",
        PASSES,
        [
            get("Content_Type: a/b"),
            get("Keep_Alive: 1"),
            get("Set_Cookie: a=b"),
            get("Max_Forwards: 0", method="OPTIONS"),
            get("X_Mine: 1"),
            get("_: 1"),
        ],
    ),
    Rule(
        "via",
        "RFC 9110 §7.6.3",
        "we are added at the end",
        PASSES,
        [
            get("Via: 1.0 fred, 1.1 p.example.net"),
            get("Via: 1.0 fred", "Via: 1.1 fairlead"),
            get("Via:"),
        ],
    ),
]

CONNECTIONS = [
    Rule(
        "closes",
        "RFC 9112 §9.6",
        "after close nothing more is taken for a request",
        ENDS,
        [
            get("Connection: close"),
            get("Connection: keep-alive, CLOSE"),
            get("Connection: close", "Connection: keep-alive"),
            post("Connection: close", "Content-Length: 2", body="hi"),
            get("Connection: close") + get(target="/smuggled"),
            get(version="HTTP/1.0"),
            get(version="HTTP/1.0") + get(target="/smuggled"),
            get("Connection: close, keep-alive", version="HTTP/1.0"),
            get("Proxy-Connection: keep-alive", version="HTTP/1.0"),
        ],
    ),
    Rule(
        "old-keeps",
        "RFC 9112 §9.3",
        "HTTP/1.0 stays if it says so",
        PASSES,
        [
            get("Connection: keep-alive", version="HTTP/1.0"),
            post("Connection: Keep-Alive", "Content-Length: 2", body="hi", version="HTTP/1.0"),
        ],
    ),
    Rule(
        "pipelined",
        "RFC 9112 §9.3.2",
        "several at once are answered in order",
        Outcome((200, 200, 200)),
        [
            get(target="/1") + get(target="/2") + get(target="/3"),
            get(target="/1") + post("Content-Length: 2", body="hi") + get(target="/3"),
            post("Transfer-Encoding: chunked", body=f"2\r\nhi\r\n{LAST}") + "\r\n" + get() + get(),
            get(method="HEAD") + get() + get(method="HEAD"),
        ],
    ),
    Rule(
        "refused-behind",
        "RFC 9112 §11.2",
        "what is refused behind a good one takes nothing back",
        Outcome((200, 400), closes=True),
        [
            get() + get("X : y"),
            get() + "GET / HTTP/1.1\r\n\r\n",
            post("Content-Length: 2", body="hi@@") + get(),
            post("Content-Length: 2", body="hi\r\n\r\n\r\n"),
            get() + post("Content-Length: 5", "Transfer-Encoding: chunked", body=LAST),
        ],
    ),
    Rule(
        "smuggling",
        "RFC 9112 §11.2",
        "the known ways of hiding a request in another",
        refused(),
        [
            post("Content-Length: 6", "Transfer-Encoding: chunked", body=f"{LAST}G"),
            post(
                "Content-Length: 4",
                "Transfer-Encoding: chunked",
                body=f"5c\r\nGET /smuggled HTTP/1.1\r\n{HOST}\r\n{LAST}",
            ),
            post(
                "Transfer-Encoding: chunked",
                "Transfer-encoding: x",
                body=f"{LAST}GET /smuggled HTTP/1.1\r\n",
            ),
            post("Transfer-Encoding: \x0bchunked", "Content-Length: 5", body=LAST),
            post("X: y\rTransfer-Encoding: chunked", "Content-Length: 5", body=LAST),
            post("Transfer-Encoding : chunked", "Content-Length: 5", body=LAST),
            post(" Transfer-Encoding: chunked", "Content-Length: 5", body=LAST),
            post("X: y\nTransfer-Encoding: chunked", "Content-Length: 5", body=LAST),
            post("Content-Length: 5\nContent-Length: 0", body="hello"),
            post(
                f"Content-Length{'A' * 255}: 5",
                "Content-Length: 0",
                "Content-Length: 5",
                body="hello",
            ),
        ],
    ),
]
