"""Memory in all: at the limit nothing new is begun, what is under way goes on, and it recovers."""

from __future__ import annotations

import contextlib
import threading

from harness.backend import keeping, response
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.line import Line

MIB = 1 << 20


def test_without_memory_newcomers_are_refused_and_it_recovers(fairlead, backend) -> None:
    """Hundreds of uploads that nobody answers: each is kept, so that it can be sent again."""
    go = threading.Event()
    one = backend(keeping(lambda _: response(b"hello") if go.wait(25) else None))
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen,
            one,
            more='[limits]\nmemory = "64MiB"\nconnections = 2000',
        )
    )
    early = balancer.connect(listen)
    early.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    wait_for(lambda: one.requests)
    uploads: list[Line] = []

    def is_full() -> bool:
        return bool(balancer.status()["memory"]["full"])

    assert not is_full()
    body = b"x" * 60_000
    for _ in range(1_500):
        with contextlib.suppress(OSError):
            line = balancer.connect(listen)
            line.send(b"PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: 60000\r\n\r\n" + body)
            uploads.append(line)
        if len(uploads) % 50 == 0 and is_full():
            break
    wait_for(is_full)

    assert balancer.connect(listen).get().reason == "memory_full"
    assert balancer.resident_bytes() < 96 * MIB
    go.set()
    assert early.read_response().body == b"hello", "what was under way goes on"
    for line in uploads:
        line.close()
    wait_for(lambda: not is_full(), 10)
    assert balancer.connect(listen).get().status == 200
    told = [each["full"] for each in balancer.events() if each["event"] == "memory"]
    assert told == [True, False]
