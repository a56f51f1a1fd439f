from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import pytest

from fairlead.config import read as reading
from fairlead.config.place import Source
from fairlead.config.tree import DEEPEST
from fairlead.errors import ConfigErrors
from harness.texts import parse


def refused(function, *arguments):
    with pytest.raises(ConfigErrors) as caught:
        function(*arguments)
    [error] = caught.value.errors
    return error


def test_the_variable_names_the_only_place():
    assert [str(path) for path in reading.searched({"FAIRLEAD_CONFIG": "/a/b.toml"})] == [
        "/a/b.toml"
    ]


def test_without_variables_the_home_has_the_folder():
    assert [str(path) for path in reading.searched({"HOME": "/home/me"})] == [
        "fairlead.toml",
        "/home/me/.config/fairlead/fairlead.toml",
        "/etc/fairlead/fairlead.toml",
    ]


def test_the_first_that_is_there_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fairlead").mkdir()
    (tmp_path / "fairlead/fairlead.toml").touch()
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}

    assert reading.find(environment) == tmp_path / "fairlead/fairlead.toml"
    (tmp_path / "fairlead.toml").touch()
    assert str(reading.find(environment)) == "fairlead.toml"


def test_the_place_of_the_variable_is_taken_unseen():
    assert str(reading.find({"FAIRLEAD_CONFIG": "/nowhere"})) == "/nowhere"


def test_where_was_looked_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = refused(reading.find, {"HOME": str(tmp_path)})

    assert error.code == "file.missing"
    assert "`fairlead.toml`" in error.found
    assert "/etc/fairlead" in error.found


def test_a_file_that_is_not_there(tmp_path):
    error = refused(reading.read, tmp_path / "no.toml")

    assert error.code == "file.missing"
    assert error.found.endswith("no such file or directory")


def test_a_folder_is_no_file(tmp_path):
    assert refused(reading.read, tmp_path).code == "file.unreadable"


def test_a_name_that_no_file_can_have():
    assert refused(reading.read, "a\0b").code == "file.unreadable"


# Root may read everything, so it becomes nobody first; with all imports made before, because the
# interpreter may lie where nobody can't read it.
READ_AS_NOBODY = """
import os, sys
from fairlead.config import read
from fairlead.errors import ConfigErrors

def read_it():
    try:
        return read.read(sys.argv[1]).text
    except ConfigErrors as caught:
        [error] = caught.errors
        return f"{error.code}: {error.found}"

before = read_it()
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    assert before == "kept = 1", before
print(read_it())
"""


def test_a_file_that_may_not_be_read(short_path):
    short_path.chmod(0o755)
    path = short_path / "secret.toml"
    path.write_text("kept = 1")
    path.chmod(0o000)

    done = subprocess.run(
        [sys.executable, "-c", READ_AS_NOBODY, path], capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.stdout.startswith("file.unreadable: "), done.stdout
    assert "permission denied" in done.stdout


def test_a_file_that_is_too_large_to_be_one(tmp_path):
    path = tmp_path / "large.toml"
    with path.open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)

    assert refused(reading.read, path).code == "file.large"


def test_a_mark_at_the_beginning_is_no_text(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbfworkers = 1\n")

    assert reading.read(path).text == "workers = 1\n"


def test_what_is_not_utf_8_has_a_place(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes("# ä\nname = 'b".encode() + b"\xfc" + b"cher'\n")
    error = refused(reading.read, path)

    assert error.code == "file.encoding"
    assert (error.place.line, error.place.column) == (2, 10)


def test_utf_16_is_named(tmp_path):
    path = tmp_path / "wide.toml"
    path.write_bytes("workers = 1".encode("utf-16"))

    assert refused(reading.read, path).hint == "save the file as UTF-8"


def test_yaml_is_known_by_its_ending():
    assert reading.is_yaml("a.yaml")
    assert reading.is_yaml("A.YML")
    assert not reading.is_yaml("yaml.toml")


class Wide(NamedTuple):
    """A grammar that finds very many values."""

    count: int

    def parse_toml(self, _):
        one = ("integer", 0, 1, 1)
        node = ("array", 0, 1, [one] * self.count)
        return ("table", 0, 1, [("key", 0, 1, node)]), []

    def check_regex(self, _):
        return None


def test_the_number_of_values_is_bounded():
    assert reading.read_toml(Source("f", "x"), Wide(1000))[1] == []
    [error] = reading.read_toml(Source("f", "x"), Wide(1_000_000))[1]
    assert error.found == "more than 1,000,000 values"


class Deep:
    """A grammar that finds lists within lists."""

    def parse_toml(self, _):
        node = ("integer", 0, 1, 1)
        for _ in range(DEEPEST + 1):
            node = ("array", 0, 1, [node])
        return ("table", 0, 1, [("key", 0, 1, node)]), []

    def check_regex(self, _):
        return None


def test_depth_is_bounded_whatever_the_grammar_says():
    tree, errors = reading.read_toml(Source("f", "x"), Deep())

    assert [error.code for error in errors] == ["syntax"]
    assert tree.kind == "table"


def test_every_syntax_error_is_told_with_its_place():
    text = 'workers = \n[listeners.web\nbind = ":0"\nx = "a\n'
    with pytest.raises(ConfigErrors) as caught:
        parse(text)
    lines = [error.place.line for error in caught.value.errors if error.code == "syntax"]

    assert {1, 2, 4} <= set(lines)


def test_deep_texts_end_in_an_error():
    for text in ("a = " + "[" * 100_000, "a = " + "{a=" * 100_000, "a." * 100_000 + "b = 1"):
        with pytest.raises(ConfigErrors):
            parse(text)
