"""Texts to configurations and to what is wrong with them, without DNS."""

from __future__ import annotations

import pytest

from fairlead import _engine
from fairlead.config.loaded import LoadedConfig, load_text, parse_source
from fairlead.config.parse import Parsed
from fairlead.config.place import Place, Source
from fairlead.config.resolve import Answer
from fairlead.errors import ConfigError, ConfigErrors

# A complete file around what a test is about.
WEB = '[listeners.web]\nbind = ":0"\npool = "app"\n'
APP = '[pools.app]\nbackends = ["127.0.0.1:1"]\n'


def resolve(name: str) -> Answer:
    """Knows `app1` to `app9`, `both`, and nobody else."""
    if name == "both":
        return Answer(("2001:db8::7", "192.0.2.7"))
    if name.startswith("app") and name[3:].isdigit():
        return Answer((f"192.0.2.{name[3:]}",))
    return Answer((), "name or service not known")


def parse(text: str, name: str = "fairlead.toml") -> Parsed:
    return parse_source(Source(name, text), _engine)


def load(text: str, name: str = "fairlead.toml") -> LoadedConfig:
    return load_text(text, _engine, source=name, resolver=resolve)


def wrong(text: str, name: str = "fairlead.toml") -> tuple[ConfigError, ...]:
    """Everything that is wrong with a text."""
    with pytest.raises(ConfigErrors) as caught:
        load(text, name)
    return caught.value.errors


def told(text: str, name: str = "fairlead.toml") -> list[tuple[str, str]]:
    """Code of each error and what it underlines."""
    return [(error.code, error.place.text if error.place else "") for error in wrong(text, name)]


def place() -> Place:
    """Some place, for functions that want one."""
    return Source("fairlead.toml", 'key = "value"').place(6, 13)
