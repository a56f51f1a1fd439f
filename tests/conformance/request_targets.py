"""The rules for what a request asks for: targets and hosts."""

from __future__ import annotations

from conformance.table import (
    ENDS,
    PASSES,
    Rule,
    answered,
    get,
    refused,
)

TARGETS = [
    Rule(
        "target-bytes",
        "RFC 9112 §3.2",
        "controls, blanks, `#` and bytes above 0x7F: refused",
        refused(),
        [
            get(target=f"/a{char}b")
            for char in ("#", " ", "\t", "\0", "\x01", "\x1f", "\x7f", "\x80", "\xff", "\xe4", "#?")
        ],
    ),
    Rule(
        "target-form",
        "RFC 9112 §3.2",
        "origin, absolute or asterisk form",
        refused(),
        [
            *[
                get(target=target)
                for target in (
                    "m",
                    "?m",
                    "corpus:80",
                    "*",
                    ".",
                    "http:/m",
                    "http:m",
                    "http:///m",
                    "http://",
                    "http://?m",
                    "ftp://corpus/m",
                    "file:///m",
                    "ws://corpus/",
                    "javascript:1",
                    "http//m",
                    "http://corpus:x/",
                    "http://corpus:99999/",
                    "http://user@corpus/",
                    "http://user:pass@corpus/",
                    "http://@corpus/",
                    "http://a,b/",
                    "http://[::1/",
                    "http://a%41/",
                    "http://a\\b/",
                    "http://a;b/",
                    "http://:80/",
                )
            ],
            get(target="**", method="OPTIONS"),
            get(target="corpus", method="OPTIONS"),
        ],
    ),
    Rule(
        "origin-form",
        "RFC 9110 §7.7",
        "paths and queries pass unchanged",
        PASSES,
        [
            get(target=target)
            for target in (
                "/",
                "//",
                "//m//",
                "/a/../b",
                "/./m",
                "/%2e%2e/m",
                "/%00",
                "/%zz",
                "/m?",
                "/m?a=b?c",
                "/m;a=b",
                "/~m",
                "/\\m",
                "/{m}|^`",
                '/"m"',
                "/m?http://x/",
                "/http://x",
                "/*",
                "/:80",
                "/@",
            )
        ],
    ),
    Rule(
        "absolute-form",
        "RFC 9112 §3.2.2",
        "the target's authority replaces Host",
        PASSES,
        [
            get(target=target)
            for target in (
                "http://corpus/m",
                "http://other/m",
                "HTTP://other:8080/m?q",
                "http://other",
                "http://other?q",
                "http://other/",
                "http://[::1]/m",
                "http://[::1]:80/m",
                "http://1.2.3.4/m",
                "http://other:/m",
            )
        ],
    ),
    Rule(
        "options",
        "RFC 9112 §3.2.4",
        "OPTIONS for everything, in its two forms",
        PASSES,
        [
            get(target="*", method="OPTIONS"),
            get(target="http://other", method="OPTIONS"),
            get(target="http://other/", method="OPTIONS"),
            get(target="http://other?q", method="OPTIONS"),
        ],
    ),
    Rule(
        "https-in-clear",
        "RFC 9110 §7.4",
        "https has to come over TLS",
        answered(421),
        [
            get(target="https://corpus/m"),
            get(target="HTTPS://corpus"),
            get(target="https://corpus:80/"),
        ],
    ),
    Rule(
        "no-host",
        "RFC 9112 §3.2",
        "HTTP/1.1 has a Host, also in absolute form",
        refused(),
        [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nX: y\r\n\r\n",
            "GET http://corpus/ HTTP/1.1\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.2\r\n\r\n",
            "GET / HTTP/1.1\r\nHosts: corpus\r\n\r\n",
            "GET / HTTP/1.1\r\nX-Host: corpus\r\n\r\n",
        ],
    ),
    Rule(
        "two-hosts",
        "RFC 9112 §3.2",
        "and one only, equal or not",
        refused(),
        [
            get("Host: corpus"),
            get("Host: other"),
            get("host: corpus"),
            get("Host:"),
            get("Host: other", target="http://corpus/"),
            get("X: y", "HOST: other", version="HTTP/1.0"),
        ],
    ),
    Rule(
        "host",
        "RFC 9112 §3.2",
        "a host is a name or an address with an optional port",
        refused(),
        [
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"
            for target, host in [
                *[
                    ("/m", host)
                    for host in (
                        "",
                        ":80",
                        "a b",
                        "a,b",
                        "a, b",
                        "a/b",
                        "a\\b",
                        "a@b",
                        "user:pw@a",
                        "a?b",
                        "a#b",
                        "a:b",
                        "a:80:80",
                        "a:-1",
                        "a:65536",
                        "a:99999",
                        "a:000080",
                        "a:+80",
                        "a: 80",
                        "[::1",
                        "::1",
                        "[::1]x",
                        "[]",
                        "[g::1]",
                        "[v1.x]",
                        "[::1%25eth0]",
                        "a%41",
                        "a\xe4",
                        "a\x80",
                        '"a"',
                        "a;b",
                        "a=b",
                        "(a)",
                        "a|b",
                        "http://a",
                        "a\tb",
                        "*.a*",
                        "a!b",
                        "a$b",
                        "a&b",
                    )
                ],
                ("http://corpus/m", "a b"),
                ("http://corpus/m", ""),
            ]
        ],
    ),
    Rule(
        "hosts",
        "RFC 9110 §7.2",
        "hosts pass as they are",
        PASSES,
        [
            f"GET /m HTTP/1.1\r\nHost: {host}\r\n\r\n"
            for host in (
                "a",
                "A.b",
                "a.",
                "a-b.c_d~e",
                "xn--a",
                "127.0.0.1",
                "1.2.3.4:80",
                "[::1]",
                "[::1]:8080",
                "[2001:DB8::1]",
                "[::ffff:1.2.3.4]",
                "a:",
                "a:0",
                "a:65535",
                "999.999.999.999",
                "-",
                ".",
            )
        ],
    ),
    Rule(
        "old-without-host",
        "RFC 9112 §3.2",
        "HTTP/1.0 needs none; what goes on has the backend's",
        ENDS,
        ["GET /m HTTP/1.0\r\n\r\n", "GET http://other/m HTTP/1.0\r\n\r\n"],
    ),
]
