"""Users' Python in force: loaded before anything changes, kept while it is the same."""

import sys

import pytest

from fairlead.config.loaded import LoadedConfig
from fairlead.config.parse import Parsed
from fairlead.config.resolve import Answer
from fairlead.config.schema import Backend, Check, Config, Listener, Pool
from fairlead.control.code import Code, folder_of, named, prepare_once
from fairlead.errors import ConfigErrors

SOURCE = """
import fairlead

class One(fairlead.Policy):
    def score(self, backends):
        return [1 for _ in backends]

class Two(One):
    pass

def is_well(probe):
    return True
"""


class Seat:
    def take(self, _timeout):
        return None

    def leave(self):
        pass


@pytest.fixture
def code(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    made = Code(lambda *_: Seat(), lambda *_: None)
    yield made
    made.stop()
    for new in set(sys.modules) - before:
        del sys.modules[new]


@pytest.fixture
def load(tmp_path):
    """A configuration whose pools have these policies; ``c:`` before one makes it a check."""

    def one(**pools):
        def pool(name):
            backends = (Backend("10.0.0.1:80"),)
            if name.startswith("c:"):
                check = Check(type="python", function=name[2:])
                return Pool(backends=backends, check=check)
            return Pool(backends=backends, policy=name)

        config = Config(
            listeners={"web": Listener(bind=(":80",), pool="app")},
            pools={key: pool(name) for key, name in pools.items()},
        )
        path = tmp_path / "fairlead.toml"
        path.touch()
        return LoadedConfig(Parsed(config, {}), str(path), lambda _: Answer(()), {})

    return one


def test_what_a_configuration_names(load):
    found = list(named(load(app="m_1:One", other="c:m_1:is_well", plain="p2c")))
    assert [(each.pool, each.name, each.kind) for each in found] == [
        ("app", "m_1:One", "policy"),
        ("other", "m_1:is_well", "check"),
    ]


def test_a_reload_keeps_what_is_the_same(code, load, tmp_path):
    (tmp_path / "m_2.py").write_text(SOURCE)
    first = code.prepare(load(app="m_2:One", other="m_2:One", third="c:m_2:is_well"))
    assert first.policies["app"].policy is not first.policies["other"].policy
    code.use(first)
    second = code.prepare(load(app="m_2:One", other="m_2:Two", third="c:m_2:is_well"))
    assert second.policies["app"] is first.policies["app"]
    assert second.functions["third"] is first.functions["third"]
    assert second.policies["other"].name == "m_2:Two"


def test_a_changed_file_makes_all_of_it_new(code, load, tmp_path):
    (tmp_path / "m_3.py").write_text(SOURCE)
    loaded = load(app="m_3:One", other="m_3:Two", third="c:m_3:is_well")
    first = code.prepare(loaded)
    code.use(first)
    assert code.in_use
    assert not code.has_changed()
    assert not code.has_changed()

    (tmp_path / "m_3.py").write_text(SOURCE + "# changed\n")
    assert not code.has_changed(), "it may still be being written"
    assert code.has_changed()
    second = code.prepare(loaded)
    assert second.policies["app"].policy is not first.policies["app"].policy
    assert second.functions["third"] is not first.functions["third"]
    names = code.objects()
    code.use(second)
    assert {name for name, _ in code.objects() - names} == {"m_3:One", "m_3:Two", "m_3:is_well"}
    assert not code.has_changed()


def test_what_failed_is_not_tried_again_before_the_next_change(code, load, tmp_path):
    file = tmp_path / "m_4.py"
    file.write_text(SOURCE)
    loaded = load(app="m_4:One")
    code.use(code.prepare(loaded))
    file.write_text("def f(:")
    code.has_changed()
    assert code.has_changed()
    with pytest.raises(ConfigErrors):
        code.prepare(loaded)
    code.note_failed()
    assert not code.has_changed()
    file.write_text(SOURCE + "\n\n")
    code.has_changed()
    assert code.has_changed()


def test_all_that_is_wrong_is_told_and_nothing_is_used(code, load, tmp_path):
    (tmp_path / "m_5.py").write_text(SOURCE)
    with pytest.raises(ConfigErrors) as caught:
        code.prepare(load(app="m_5:Three", other="nothing_5:X", third="c:m_5:One", well="m_5:One"))
    codes = [error.code for error in caught.value.errors]
    assert codes == ["policy.python", "policy.python", "check.python"]
    assert not code.in_use


def test_modules_lie_beside_the_file_or_in_the_current_folder(load, tmp_path, monkeypatch):
    assert folder_of(load(app="p2c")) == str(tmp_path)
    monkeypatch.chdir(tmp_path)
    quick = LoadedConfig(Parsed(load(app="p2c").config, {}), "command line", None, {})
    assert folder_of(quick) == str(tmp_path)


def test_a_look_at_a_configuration_uses_nothing(code, load, tmp_path):
    prepare_once(load(app="p2c"))
    (tmp_path / "m_6.py").write_text(SOURCE)
    prepare_once(load(app="m_6:One"))
    with pytest.raises(ConfigErrors):
        prepare_once(load(app="m_6:Three"))
