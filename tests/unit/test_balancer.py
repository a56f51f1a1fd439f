"""Balancer: fairlead inside a program, with the real engine."""

import asyncio
import urllib.request

import pytest

from fairlead import Balancer, ConfigErrors, EngineError
from fairlead.config.schema import Backend, Config, Listener, Pool
from fairlead.control import paths
from fairlead.testing import FakeBackend

TEXT = """
shutdown_timeout = "1s"
[listeners.web]
bind = "{bind}"
pool = "app"
[pools.app]
backends = [{backends}]
check = {{ interval = "100ms", timeout = "5s" }}
"""


def text(*backends, bind="127.0.0.1:0"):
    return TEXT.format(bind=bind, backends=", ".join(f'"{each.address}"' for each in backends))


@pytest.fixture
def backend():
    with FakeBackend("one") as running:
        yield running


async def get(address):
    def ask():
        with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
            return answer.read()

    return await asyncio.to_thread(ask)


def test_it_balances_while_it_runs(backend):
    async def main():
        async with Balancer.from_text(text(backend)) as balancer:
            address = balancer.addresses[0][1]
            assert await get(address) == b"one\n"
            async with asyncio.timeout(5):
                while balancer.status().pool("app").backends[0].requests == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            (row,) = balancer.status().pool("app").backends
            assert (row.address, row.health, row.requests) == (backend.address, "healthy", 1)
        with pytest.raises(OSError, match="refused"):
            await get(address)
        assert await balancer.stop() is True

    asyncio.run(main())


def test_events_come_as_they_happen(backend):
    async def main():
        async with Balancer.from_text(text(backend)) as balancer:
            seen = []
            async for event in balancer.events(after=0):
                seen.append((event.kind, event.detail.get("to")))
                if event.detail.get("to") == "healthy":
                    backend.refuse()
                if event.detail.get("to") == "down":
                    break
            assert ("applied", None) in seen
            assert ("health", "suspect") in seen

    asyncio.run(main())


def test_wishes_hold(backend):
    async def main():
        async with Balancer.from_text(text(backend)) as balancer:
            balancer.set_backend("app", backend.address, state="draining", weight=5)
            await balancer.reload()
            (row,) = balancer.status().pool("app").backends
            assert (row.state, row.weight) == ("draining", 5)
            with pytest.raises(KeyError):
                balancer.set_backend("app", "nobody:1", weight=1)

    asyncio.run(main())


def test_a_file_is_read_again(backend, tmp_path):
    file = tmp_path / "fairlead.toml"
    with FakeBackend("two") as two:
        file.write_text(text(backend))

        async def main():
            async with Balancer.from_file(file) as balancer:
                file.write_text(text(two))
                steps = await balancer.reload()
                assert len(steps) == 2
                assert await get(balancer.addresses[0][1]) == b"two\n"

        asyncio.run(main())


def test_a_configuration_can_be_made_in_python(backend):
    config = Config(
        listeners={"web": Listener(bind=("127.0.0.1:0",), pool="app")},
        pools={"app": Pool(backends=(Backend(backend.address),))},
    )

    async def main():
        async with Balancer(config) as balancer:
            assert await get(balancer.addresses[0][1]) == b"one\n"
            assert await balancer.reload() == []

    asyncio.run(main())


def test_what_is_wrong_is_told_before_anything_runs(backend):
    with pytest.raises(ConfigErrors):
        Balancer.from_text("[pools.app]\nbackends = 5")


def test_a_taken_port_is_an_error_and_nothing_runs(backend):
    with pytest.raises(EngineError, match="listener `web` can't listen"):
        asyncio.run(Balancer.from_text(text(backend, bind=backend.address)).start())


def test_before_a_start_there_is_nothing_to_be_done(backend):
    balancer = Balancer.from_text(text(backend))

    async def main():
        assert await balancer.stop() is True
        with pytest.raises(RuntimeError, match="not started"):
            await balancer.reload()

    asyncio.run(main())


def test_the_control_socket_is_opened_if_asked_for(backend, short_path, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(short_path))

    async def main():
        async with Balancer.from_text(text(backend), control_socket=True):
            assert len(paths.instances()) == 1
        assert paths.instances() == []

    asyncio.run(main())
