"""What a response begins with, and how its header lines are made."""

from __future__ import annotations

from conformance.table import (
    BAD,
    CONTROLS,
    LAST,
    NO_TOKEN,
    PASSES,
    Rule,
    plain,
    reply,
)

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
