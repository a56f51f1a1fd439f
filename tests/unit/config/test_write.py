from __future__ import annotations

import tomllib
from collections.abc import Iterator

import msgspec
import pytest

from fairlead.config.schema import Backend, Config, Listener, Pool, Route
from fairlead.config.write import write_toml
from harness import configs
from harness.texts import parse


@pytest.mark.parametrize("seed", range(100))
def test_what_is_written_reads_back(seed):
    made = configs.config(seed)
    text = write_toml(made)

    assert parse(text).config == made
    assert tomllib.loads(text)
    assert Config.from_toml(made.to_toml()) == made


def structs(value: object) -> Iterator[msgspec.Struct]:
    """A configuration and all that it is made of."""
    if isinstance(value, msgspec.Struct):
        yield value
        value = [getattr(value, name) for name in value.__struct_fields__]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        for each in value:
            yield from structs(each)


def test_no_key_is_forgotten_by_that_law():
    """Each key is written with something else than its default, in one of those configurations."""
    seen: set[tuple[str, str]] = set()
    every: set[tuple[str, str]] = set()
    for seed in range(100):
        for each in structs(configs.config(seed)):
            kind = type(each)
            for name, field in zip(
                kind.__struct_fields__, msgspec.structs.fields(kind), strict=True
            ):
                every.add((kind.__name__, name))
                if field.required or getattr(each, name) != field.default:
                    seen.add((kind.__name__, name))

    # What a pool of a tcp listener hashes on can only be the default.
    assert every - seen == {("Pool", "hash_on")}


def config(**more) -> Config:
    pool = Pool(backends=(Backend("a:1"),))
    return Config(
        listeners={"web": Listener(bind=(":0",), pool="app", **more)}, pools={"app": pool}
    )


def test_routes_stand_under_their_listener():
    text = write_toml(config(routes=(Route(path="/a", pool="app"), Route(pool="app"))))

    assert text == (
        '[listeners.web]\nbind = ":0"\npool = "app"\n\n'
        '[[listeners.web.routes]]\npath = "/a"\npool = "app"\n\n'
        '[[listeners.web.routes]]\npool = "app"\n\n'
        '[pools.app]\nbackends = ["a:1"]\n'
    )


def test_long_lists_take_a_line_each():
    backends = tuple(Backend(f"backend-{number}.example.com:8000") for number in range(4))
    text = write_toml(
        Config(
            listeners={"web": Listener(bind=(":0",), pool="app")},
            pools={"app": Pool(backends=backends)},
        )
    )

    assert 'backends = [\n  "backend-0.example.com:8000",\n' in text


def test_names_with_dots_and_texts_with_anything_in_them():
    strange = 'a"b\\c\nd\te\x07\U0001f600'
    text = write_toml(
        Config(
            listeners={"web.old": Listener(bind=(":0",), pool=strange)},
            pools={"app": Pool(backends=(Backend(strange, 1, 1),))},
        )
    )
    read = tomllib.loads(text)

    assert read["listeners"]["web.old"]["pool"] == strange
    assert read["pools"]["app"]["backends"] == [{"address": strange, "group": 1}]
    assert "\x07" not in text


def test_truth_is_written_as_toml_has_it():
    odd = Config(listeners={}, pools={}, workers=True)

    assert write_toml(odd).startswith("workers = true")
