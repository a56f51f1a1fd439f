from __future__ import annotations

import json
import resource

import pytest

from fairlead import _engine
from fairlead.config import loaded
from fairlead.config.loaded import load_config, load_file, load_parsed, load_text
from fairlead.config.resolve import Answer
from fairlead.config.schema import Backend, Config, Listener, Pool
from fairlead.errors import ConfigErrors
from harness.texts import APP, WEB, load, parse, resolve

NAMED = WEB + '[pools.app]\nbackends = ["app1:80"]\n'


class Dns:
    """A resolver that may be changed."""

    def __init__(self, **addresses: str) -> None:
        self.addresses = addresses

    def __call__(self, name: str) -> Answer:
        found = self.addresses.get(name)
        return Answer((found,) if found else (), "" if found else "gone")


def endpoint(made: loaded.LoadedConfig) -> str:
    return json.loads(made.plan)["pools"][0]["backends"][0]["endpoints"][0]["tcp"]


def test_a_file_is_loaded(tmp_path):
    path = tmp_path / "fairlead.toml"
    path.write_text(NAMED)
    made = load_file(path, _engine, resolver=resolve)

    assert made.source == str(path)
    assert made.config.pools["app"].backends == (Backend("app1:80"),)
    assert json.loads(made.plan)["pools"][0]["name"] == "app"
    assert made.unresolved == ()


def test_yaml_is_loaded_by_its_ending(tmp_path):
    path = tmp_path / "fairlead.yml"
    path.write_text("listeners: {web: {bind: 0, pool: app}}\npools: {app: {backends: [app1:80]}}")

    assert (
        load_file(path, _engine, resolver=resolve).config == load(NAMED.replace('":0"', "0")).config
    )


def test_names_are_resolved_again():
    dns = Dns(app1="192.0.2.1")
    first = load_text(NAMED, _engine, resolver=dns)
    assert endpoint(first) == "192.0.2.1:80"

    dns.addresses["app1"] = "192.0.2.9"
    second = first.resolve()
    assert endpoint(second) == "192.0.2.9:80"
    assert second.plan != first.plan
    assert second.resolve().plan == second.plan


def test_a_name_that_goes_keeps_its_last_good_addresses():
    dns = Dns(app1="192.0.2.1")
    first = load_text(NAMED, _engine, resolver=dns)
    dns.addresses.clear()
    again = first.resolve().resolve()

    assert endpoint(again) == "192.0.2.1:80"
    assert again.unresolved == ("app1",)
    assert again.plan == first.plan


def test_what_is_added_beside_a_name_that_has_gone_is_no_news_of_it():
    dns = Dns(app1="192.0.2.1")
    first = load_text(NAMED, _engine, resolver=dns)
    dns.addresses.clear()
    gone = first.resolve()

    changed = gone.with_config(gone.config)

    assert changed.unresolved == ("app1",)
    assert changed.problems == gone.problems
    assert endpoint(changed) == "192.0.2.1:80"


def test_a_name_that_leads_to_a_metadata_service_keeps_its_last_good_addresses():
    dns = Dns(app1="192.0.2.1")
    first = load_text(NAMED, _engine, resolver=dns)
    dns.addresses["app1"] = "169.254.169.254"
    again = first.resolve()

    assert endpoint(again) == "192.0.2.1:80"
    assert again.unresolved == ("app1",)
    with pytest.raises(ConfigErrors) as refused:
        load_text(NAMED, _engine, resolver=dns)
    assert "write the address if it is meant" in refused.value.errors[0].found


def test_an_address_that_is_written_is_meant():
    made = load_text(NAMED.replace("app1", "169.254.169.254"), _engine, resolver=Dns())

    assert endpoint(made) == "169.254.169.254:80"


def test_a_new_configuration_keeps_the_addresses_of_names_that_stay():
    dns = Dns(app1="192.0.2.1")
    first = load_text(NAMED, _engine, resolver=dns)
    dns.addresses.clear()
    again = load_text(NAMED + "weight = 1\n".replace("weight = 1\n", ""), _engine, previous=first)

    assert endpoint(again) == "192.0.2.1:80"
    with pytest.raises(ConfigErrors):
        load_text(NAMED.replace("app1", "app2"), _engine, previous=first)


def test_a_configuration_made_in_python_is_checked_like_a_file():
    app = Pool(backends=(Backend("app1:80", 3),))
    config = Config(listeners={"web": Listener(bind=(":0",), pool="app")}, pools={"app": app})

    made = load_config(config, _engine, resolver=resolve)
    assert made.config == config

    with pytest.raises(ConfigErrors) as caught:
        load_config(Config(listeners={}, pools={"a b": app}), _engine)
    assert [error.code for error in caught.value.errors] == ["list.empty", "name.form"]
    assert caught.value.errors[1].place.source.name == "<Config>"


def test_values_made_in_python_may_be_spelled_as_in_a_file():
    pool = Pool(
        backends=["app1:80*3"],  # type: ignore[arg-type]
        check={"type": "http", "interval": "5s"},  # type: ignore[arg-type]
    )
    config = Config(
        listeners={"web": Listener(bind=":0", pool="app")},  # type: ignore[arg-type]
        pools={"app": pool},
    )
    made = load_config(config, _engine, resolver=resolve)

    assert made.config.pools["app"].backends == (Backend("app1:80", 3),)
    assert made.config.pools["app"].check.interval.total_seconds() == 5


def test_what_was_parsed_already_is_loaded():
    assert load_parsed(parse(NAMED), "x", resolver=resolve).source == "x"


def test_without_a_file_limit_there_is_a_bound(monkeypatch):
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)

    assert load(WEB + APP).value.listeners[0].limits.connections == 1_000_000
