"""Real servers and the applications that they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness import programs
from harness.balancer import Balancer, loopback

ASGI = '''
"""An ASGI application: says who it is, mirrors bodies, streams, sleeps."""
import asyncio


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path = scope["path"]
    if path == "/events":
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-type", b"text/event-stream")]})
        for number in range(10):
            await send({"type": "http.response.body", "more_body": True,
                        "body": b"data: %d\\n\\n" % number})
            await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": b""})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if path == "/headers":
        body = b"\\n".join(name + b": " + value for name, value in scope["headers"])
    elif path != "/mirror":
        body = b"uvicorn"
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
'''

WSGI = '''
"""A WSGI application: says who it is, mirrors bodies, streams in pieces."""


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/pieces":
        return (b"piece %d\\n" % number for number in range(100))
    return [body if environ["PATH_INFO"] == "/mirror" else b"gunicorn"]
'''


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a real program: ``started("uvicorn")``; its address."""
    (tmp_path / "asgi.py").write_text(ASGI)
    (tmp_path / "wsgi.py").write_text(WSGI)
    applications = {"uvicorn": "asgi:application", "gunicorn": "wsgi:application"}
    with ExitStack() as stack:

        def start(program: str) -> str:
            folder = tmp_path / f"{program}{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            if program in applications:
                for name in ("asgi.py", "wsgi.py"):
                    (folder / name).write_text((tmp_path / name).read_text())
                return stack.enter_context(
                    getattr(programs, program)(folder, applications[program])
                )
            return stack.enter_context(getattr(programs, program)(folder))

        yield start


@pytest.fixture
def url(fairlead: Callable[..., Balancer], started: Callable[..., str]) -> Callable[..., str]:
    """``fairlead http`` before these programs; the URL to ask."""

    def start(*names: str, **more: Any) -> str:
        listen = loopback()
        fairlead("http", listen, *[started(name) for name in names], "--check", "tcp", **more)
        return f"http://{listen}"

    return start
