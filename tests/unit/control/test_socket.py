"""A door of the API, from outside."""

import asyncio
import contextlib
import gc
import json
import socket

from fairlead.control import paths
from fairlead.control import socket as module
from fairlead.control.guard import Access
from fairlead.control.http import as_json
from fairlead.control.socket import Door


class Api:
    def __init__(self):
        self.requests = 0
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    def find(self, _):
        return None

    async def answer(self, request):
        self.requests += 1
        self.begun.set()
        await self.gate.wait()
        return as_json({"target": request.target})


async def ask(address, head=b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):
    if isinstance(address, str):
        reader, writer = await asyncio.open_unix_connection(address)
    else:
        reader, writer = await asyncio.open_connection(*address)
    with contextlib.closing(writer):
        writer.write(head)
        return await reader.read()


def run(listening, play, access=None):
    async def main():
        api = Api()
        door = Door(api, listening, access or Access())
        api.door = door
        door.open()
        try:
            await play(api)
        finally:
            door.close()
            door.close()
            await asyncio.sleep(0)

    asyncio.run(main())


def test_a_unix_socket_answers_and_is_removed(short_path):
    name = str(short_path / "s")

    async def play(_):
        data = await ask(name)
        assert json.loads(data.split(b"\r\n\r\n")[1]) == {"target": "/x"}

    run(paths.listen_admin(f"unix:{name}"), play)
    assert not (short_path / "s").exists()


def test_over_tcp_the_host_is_looked_at():
    listening = paths.listen_admin("127.0.0.1:0")
    address = listening.socket.getsockname()

    async def play(api):
        assert (await ask(address)).startswith(b"HTTP/1.1 200")
        evil = b"GET /x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        assert (await ask(address, evil)).startswith(b"HTTP/1.1 403")
        assert api.requests == 1

    run(listening, play, Access(tcp=True))


def test_who_leaves_finishes_what_it_was_asked(short_path):
    name = str(short_path / "s")

    async def play(api):
        api.gate.clear()
        asking = asyncio.ensure_future(ask(name, b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        idle_reader, idle_writer = await asyncio.open_unix_connection(name)
        await api.begun.wait()
        api.door.retire()
        assert await idle_reader.read() == b""
        idle_writer.close()
        api.gate.set()
        assert (await asking).startswith(b"HTTP/1.1 200")

    run(paths.listen_admin(f"unix:{name}"), play)


def test_who_is_accepted_in_the_last_moment_is_let_go(short_path):
    """A task that is cancelled before its first step never gets to close anything.

    A socket that nobody closes is a warning here, and a warning a failure.
    """
    name = str(short_path / "s")

    async def play(api):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(name)
            api.door._accept()
            api.door.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert client.recv(1) == b""

    run(paths.listen_admin(f"unix:{name}"), play)
    gc.collect()


def test_connections_are_bounded_and_silent_ones_lock_nobody_out_for_good(short_path, monkeypatch):
    monkeypatch.setattr(module, "_CONNECTIONS_MAX", 2)
    name = str(short_path / "s")

    async def play(_):
        silent = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for each in silent:
            each.connect(name)
        await asyncio.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            assert await ask(name) == b""
        for each in silent:
            each.close()
        await asyncio.sleep(0.05)
        assert (await ask(name)).startswith(b"HTTP/1.1 200")

    run(paths.listen_admin(f"unix:{name}"), play)


def test_out_of_files_the_reserve_lets_an_operator_in(short_path, monkeypatch):
    name = str(short_path / "s")
    listening = paths.listen_admin(f"unix:{name}")
    real = listening.socket.accept
    failures = [2]

    class Exhausted:
        """The listening socket of a process whose files run out."""

        def __getattr__(self, attribute):
            return getattr(listening.socket, attribute)

        def accept(self):
            if failures[0]:
                failures[0] -= 1
                raise OSError(24, "Too many open files")
            return real()

    async def play(_):
        assert (await ask(name)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.05)
        assert (await ask(name)).startswith(b"HTTP/1.1 200")

    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    run(paths.Listening(Exhausted(), listening.path), play)
    assert failures == [0]
