"""Names that move are followed, names that vanish keep what they had."""

import asyncio

import pytest

from fairlead.config.loaded import LoadedConfig
from fairlead.config.parse import Parsed
from fairlead.config.resolve import Answer
from fairlead.config.schema import Backend, Config, Listener, Pool
from fairlead.discovery.dns import Names, has_names


class World:
    """A resolver, a configuration in force, and what was told."""

    def __init__(self, *backends):
        self.addresses = {"app": ("10.0.0.1",)}
        self.told = []
        self.lookups = 0
        config = Config(
            listeners={"web": Listener(bind=("127.0.0.1:80",), pool="app")},
            pools={"app": Pool(backends=tuple(Backend(each) for each in backends))},
        )
        self.loaded = LoadedConfig(Parsed(config, {}), "test", self.resolve, {})

    def resolve(self, name):
        self.lookups += 1
        return Answer(self.addresses.get(name, ()), "" if name in self.addresses else "no such")

    def names(self):
        async def resolve(loaded):
            return loaded.resolve()

        async def use(before, after):
            if self.loaded is not before:
                return False
            self.loaded = after
            return True

        def tell(kind, **fields):
            self.told.append((kind, fields))

        return Names(lambda: self.loaded, resolve, use, tell)

    def endpoints(self):
        return [endpoint.tcp for endpoint in self.loaded.value.pools[0].backends[0].endpoints]


@pytest.fixture
def world():
    return World("app:80")


def step(world, times=1):
    async def main():
        names = world.names()
        for _ in range(times):
            missing = await names.step()
        return missing

    return asyncio.run(main())


def test_a_name_that_moved_is_used_and_told(world):
    world.addresses["app"] = ("10.0.0.2",)
    assert step(world) == ()
    assert world.endpoints() == ["10.0.0.2:80"]
    moved = {"pool": "app", "backend": "app:80", "what": "10.0.0.1:80 -> 10.0.0.2:80"}
    assert world.told == [("resolved", moved)]


def test_a_name_that_vanished_keeps_its_addresses_and_is_told_once(world):
    del world.addresses["app"]
    assert step(world, times=3) == ("app",)
    assert world.endpoints() == ["10.0.0.1:80"]
    assert world.told == [("unresolved", {"name": "app", "why": "no such"})]


def test_a_name_that_came_back_is_forgiven_without_a_word(world):
    del world.addresses["app"]
    step(world)
    world.addresses["app"] = ("10.0.0.1",)
    assert step(world) == ()
    assert world.loaded.unresolved == ()
    assert len(world.told) == 1


def test_answers_in_another_order_are_the_same():
    world = World("app:80")
    world.addresses["app"] = ("10.0.0.1", "10.0.0.2")
    step(world)
    world.told.clear()
    before = world.loaded
    world.addresses["app"] = ("10.0.0.2", "10.0.0.1")
    step(world)
    assert world.told == []
    assert world.loaded is before


def test_a_reload_in_between_wins(world):
    names = world.names()
    other = World("10.0.0.9:80").loaded

    async def resolve(loaded):
        world.loaded = other
        return loaded.resolve()

    names._resolve = resolve
    world.addresses["app"] = ("10.0.0.9",)
    asyncio.run(names.step())
    assert world.loaded is other
    assert world.told == []


def pauses_of(world, happens, count):
    """How long each pause of so many is to be; ``happens(nth, names)`` before each."""
    pauses = []

    async def main():
        names = world.names()

        async def rest(seconds):
            pauses.append(seconds)
            happens(len(pauses), names)
            if len(pauses) == count:
                raise asyncio.CancelledError
            await asyncio.sleep(0)
            fell_ill = names._fell_ill.is_set()
            names._fell_ill.clear()
            return fell_ill

        names._rest = rest
        with pytest.raises(asyncio.CancelledError):
            await names.run()

    asyncio.run(main())
    return pauses


def around(pauses, wanted):
    return all(0.8 * want <= got <= 1.2 * want for want, got in zip(wanted, pauses, strict=True))


def test_it_goes_on_for_ever_sooner_while_something_is_missing(world):
    def happens(nth, _):
        if nth == 2:
            del world.addresses["app"]
        if nth == 7:
            world.addresses["app"] = ("10.0.0.1",)

    pauses = pauses_of(world, happens, 9)
    assert around(pauses, [30, 30, 5, 10, 20, 30, 30, 30, 30]), pauses


def test_a_backend_that_falls_ill_is_looked_up_often_until_it_is_well(world):
    def happens(nth, names):
        if nth in (2, 4):
            # The second time is no news.
            names.note("app", "app:80", "suspect" if nth == 2 else "down")
        if nth == 11:
            names.note("app", "app:80", "healthy")
        if nth == 13:
            names.note("app", "app:80", "suspect")

    pauses = pauses_of(world, happens, 15)
    often = [0.25, 0.5, 1, 2, 4, 8, 16]
    assert around(pauses, [30, 30, *often, 30, 30, 30, 30, *often[:2]]), pauses


def test_a_backend_that_falls_ill_ends_the_pause(world):
    async def main():
        names = world.names()
        resting = asyncio.ensure_future(names._rest(60))
        await asyncio.sleep(0)
        names.note("app", "10.0.0.1:80", "down")
        await asyncio.sleep(0.01)
        assert not resting.done(), "it has no name"
        names.note("app", "app:80", "down")
        assert await asyncio.wait_for(resting, 5)

    asyncio.run(main())


def test_addresses_are_no_names():
    assert has_names(World("app:80").loaded)
    assert not has_names(World("10.0.0.1:80", "[::1]:80", "unix:/run/app").loaded)
