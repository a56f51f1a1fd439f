"""``module:attribute``: found, loaded anew, and never half."""

import sys
import types

import pytest

from fairlead.loader import Loader, LoadError, describe, stamp_of


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads from a folder of its own; what it imports is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    loader = Loader()

    def one(name):
        found = loader.load([name], str(tmp_path))[name]
        one.loader = loader
        if isinstance(found, LoadError):
            raise found
        return found

    yield one
    for new in set(sys.modules) - before:
        del sys.modules[new]


def test_an_object_comes_with_its_files(load, tmp_path):
    (tmp_path / "one_a.py").write_text("class Inner:\n    value = 7\n")
    found = load("one_a:Inner.value")
    assert found.value == 7
    file = str(tmp_path / "one_a.py")
    assert load.loader.files == {file: stamp_of(file)}
    assert not load.loader.is_stale()


def test_a_module_is_loaded_anew_beside_the_old(load, tmp_path):
    file = tmp_path / "one_b.py"
    file.write_text("value = 1\ndef ask(): return value\n")
    old = load("one_b:ask")
    file.write_text("value = 2\ndef ask(): return value\n")
    assert load.loader.is_stale()
    new = load("one_b:ask")
    assert (old.value(), new.value()) == (1, 2)
    assert not (tmp_path / "__pycache__").exists()


def test_what_it_imports_from_the_folder_belongs_to_it(load, tmp_path):
    (tmp_path / "one_c.py").write_text("import two_c\nfrom pack_c import three\nvalue = two_c.x\n")
    (tmp_path / "two_c.py").write_text("x = 1\n")
    (tmp_path / "pack_c").mkdir()
    (tmp_path / "pack_c" / "__init__.py").write_text("")
    (tmp_path / "pack_c" / "three.py").write_text("")
    old = load("one_c:value")
    assert old.value == 1
    assert len(load.loader.files) == 4
    (tmp_path / "two_c.py").write_text("x = 2\n")
    assert load.loader.is_stale()
    assert load("one_c:value").value == 2


def test_a_module_that_cannot_be_loaded_leaves_the_old_ones_in_place(load, tmp_path):
    file = tmp_path / "one_d.py"
    file.write_text("import two_d\nvalue = 1\n")
    (tmp_path / "two_d.py").write_text("")
    load("one_d:value")
    before = sys.modules["one_d"], sys.modules["two_d"]
    file.write_text("import two_d\nimport json.tool\n1 / 0\n")
    with pytest.raises(LoadError, match=r"ZeroDivisionError: division by zero \(one_d\.py:3"):
        load("one_d:value")
    assert (sys.modules["one_d"], sys.modules["two_d"]) == before


def test_the_programs_own_module_is_taken_as_it_is(load, tmp_path, monkeypatch):
    file = tmp_path / "own_e.py"
    file.write_text("value = 2\n")
    own = types.ModuleType("own_e")
    own.__file__ = str(file)
    own.value = 1
    monkeypatch.setitem(sys.modules, "own_e", own)
    first = load("own_e:value")
    assert first.value == 1
    file.write_text("value = 30\n")
    assert load.loader.is_stale()
    assert load("own_e:value").value == 30
    assert sys.modules["own_e"] is own, "the program goes on with its own"


def test_main_is_never_loaded_anew(load, monkeypatch):
    main = types.ModuleType("__main__")
    main.__file__ = "/nowhere.py"
    main.value = 1
    monkeypatch.setitem(sys.modules, "__main__", main)
    found = load("__main__:value")
    assert found.value == 1
    assert load.loader.files == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of"),
        ("def f(:", "SyntaxError"),
        ("raise KeyboardInterrupt", None),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("raise ValueError", "ValueError (one_f.py:1"),
    ],
)
def test_what_goes_wrong_in_a_module_is_told_in_a_line(load, tmp_path, text, found):
    (tmp_path / "one_f.py").write_text(text)
    if found is None:
        with pytest.raises(KeyboardInterrupt):
            load("one_f:value")
        return
    with pytest.raises(LoadError) as caught:
        load("one_f:value")
    assert found in caught.value.found
    assert "\n" not in caught.value.found


def test_a_name_that_is_missing_has_a_hint(load, tmp_path):
    (tmp_path / "policies_g.py").write_text("class Cheapest: pass\n")
    with pytest.raises(LoadError) as caught:
        load("polices_g:Cheapest")
    assert caught.value.hint == "did you mean `policies_g`?"
    with pytest.raises(LoadError) as caught:
        load("policies_g:Cheapst")
    assert caught.value.hint == "did you mean `Cheapest`?"
    with pytest.raises(LoadError) as caught:
        load("wholly_different:X")
    assert f"into {tmp_path}" in caught.value.hint


def test_an_exception_is_one_line_whatever_it_says():
    assert describe(ValueError("one\ntwo")) == "ValueError: one"
    assert describe(ValueError()) == "ValueError"


def test_a_file_that_is_gone_is_a_change(load, tmp_path):
    file = tmp_path / "one_h.py"
    file.write_text("value = 1\n")
    load("one_h:value")
    file.unlink()
    assert load.loader.is_stale()
    assert stamp_of(str(file)) is None


def test_modules_that_share_a_third_go_on_sharing_it(load, tmp_path):
    for name in ("one_i", "two_i"):
        (tmp_path / f"{name}.py").write_text("import three_i\n")
    (tmp_path / "three_i.py").write_text("x = 1\n")
    one, two = load("one_i:three_i"), load("two_i:three_i")
    assert one.value is two.value
    (tmp_path / "three_i.py").write_text("x = 22\n")
    found = load.loader.load(["one_i:three_i", "two_i:three_i"], str(tmp_path))
    assert found["one_i:three_i"].value is found["two_i:three_i"].value
    assert found["two_i:three_i"].value.x == 22
    assert one.value.x == 1


def test_what_has_not_changed_is_the_same_object(load, tmp_path):
    (tmp_path / "one_j.py").write_text("class A: pass\nclass B: pass\n")
    first = load("one_j:A")
    assert load("one_j:B").module is first.module
    assert load("one_j:A").value is first.value
