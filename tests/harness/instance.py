"""A control socket that says what a test tells it to: what `fairlead status` and others talk to."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote

STATUS = {
    "time": "2026-11-21T12:00:00.000Z",
    "pid": 4242,
    "version": "0.1.0",
    "config": "/etc/shop/fairlead.toml",
    "uptime_seconds": 11_520.4,
    "workers": 2,
    "listeners": [
        {
            "name": "web",
            "bind": ["[::]:8080"],
            "protocol": "http",
            "connections_active": 12,
            "connections_total": 345,
            "requests_total": 120_331,
            "rates": {"requests": {"1s": 310.0, "10s": 305.25, "60s": 298.5}},
            "duration_ms": {"p50": 1.5, "p90": 3.0, "p99": 150.2, "p999": 900.0},
            "reasons": {"ok": 5, "no_backend": 2, "response_timeout": 31},
        },
        {
            "name": "db",
            "bind": ["127.0.0.1:5432", "unix:/run/db"],
            "protocol": "tcp",
            "connections_active": 3,
            "connections_total": 99,
            "requests_total": 0,
            "reasons": {},
        },
    ],
    "pools": [
        {
            "name": "app",
            "policy": "round-robin",
            "groups": [
                {
                    "group": 0,
                    "available": 1,
                    "active": 4,
                    "requests": 120_000,
                    "failures": 18,
                    "failures_by_reason": {"connect_refused": 17, "backend_reset": 1},
                    "rates": {"requests": {"1s": 310.0, "10s": 99.96, "60s": 298.5}},
                    "latency_ms": {"p50": 1.25, "p90": 2.0, "p99": 141.4, "p999": 500.0},
                }
            ],
            "backends": [
                {
                    "address": "app1:8000",
                    "group": 0,
                    "weight": 3,
                    "state": "enabled",
                    "health": "healthy",
                    "reason": "check: connected, 2 in a row",
                    "since": "2026-11-21T08:48:00.000Z",
                    "active": 4,
                    "requests": 90_000,
                    "failures": 1,
                    "latency_ms": {"p50": 1.25, "p99": 141.4},
                },
                {
                    "address": "app2:8000",
                    "group": 0,
                    "weight": 1,
                    "state": "draining",
                    "health": "down",
                    "reason": "check: connect refused, 3 in a row",
                    "since": "2026-11-21T11:58:45.000Z",
                    "active": 0,
                    "requests": 30_000,
                    "failures": 17,
                    "latency_ms": {"p50": None, "p99": None},
                    "history": [
                        {
                            "time": "2026-11-21T11:58:44.000Z",
                            "from": "healthy",
                            "to": "suspect",
                            "why": "check: connect refused, 1 in a row",
                        },
                        {
                            "time": "2026-11-21T11:58:45.000Z",
                            "from": "suspect",
                            "to": "down",
                            "why": "check: connect refused, 3 in a row",
                        },
                    ],
                },
            ],
        },
        {
            "name": "db",
            "policy": "first",
            "backends": [{"address": "unix:/run/pg/1", "health": "unknown", "since": None}],
        },
    ],
}

Answer = tuple[int, Any]


class Instance:
    """Answers on a Unix socket. ``asked`` has what came: method, path, body."""

    def __init__(self, path: Path, answers: dict[str, Answer | Callable[[Any], Answer]]) -> None:
        self.path = path
        self.asked: list[tuple[str, str, Any]] = []
        self._answers = {
            "GET /v1/status": (200, STATUS),
            "GET /v1/pools": (200, {"pools": STATUS["pools"]}),
            **answers,
        }
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        listening = socketserver.ThreadingUnixStreamServer(str(path), self._handler())
        listening.daemon_threads = True
        self._listening = listening
        self._thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown()
        self._listening.server_close()
        self._thread.join()
        self.path.unlink(missing_ok=True)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        instance = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self) -> str:
                return "control socket"

            def log_message(self, *_: object) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                path = unquote(self.path)
                instance.asked.append((self.command, path, body))
                found = instance._answers.get(f"{self.command} {path}", (404, {}))
                status, value = found(body) if callable(found) else found
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

        return Handler
