from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.place import Source
from fairlead.config.read_yaml import read_yaml
from fairlead.config.tree import Node
from harness.texts import parse, told


def plain(node: Node) -> object:
    if node.kind == "table":
        return {entry.key: plain(entry.node) for entry in node.value}
    if node.kind == "array":
        return [plain(each) for each in node.value]
    return node.value


def read(text: str) -> object:
    tree, errors = read_yaml(Source("f.yaml", text))
    assert errors == []
    return plain(tree)


def fault(text: str) -> tuple[str, int, int]:
    _, errors = read_yaml(Source("f.yaml", text))
    [error] = errors
    assert error.code == "syntax"
    return error.found, error.place.line, error.place.column


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", 1),
        ("a: -5", -5),
        ("a: true", True),
        ("a: off", "off"),
        ("a: yes", "yes"),
        ("a: 22:22", "22:22"),
        ("a: :8080", ":8080"),
        ("a: 2s", "2s"),
        ("a: 0x10", "0x10"),
        ("a: 010", 10),
        ("a: ~", None),
        ("a:", None),
        ("a: null", None),
        ("a: '1'", "1"),
        ('a: "x\\n"', "x\n"),
        ("a: !!str 1", "1"),
        ("a: 1.5", "1.5"),
        ("a: |\n  x\n  y\n", "x\ny\n"),
        ("a: [1, {b: c}]", [1, {"b": "c"}]),
        ("x: &k [1]\na: *k", [1]),
        ("x: &k {y: [1]}\na: *k", {"y": [1]}),
    ],
)
def test_plain_words_mean_what_they_mean_in_yaml_1_2(text, value):
    result = read(text)

    assert result["a"] == value  # type: ignore[index]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_nothing_is_an_empty_table(text):
    assert read(text) == {}


def test_places_count_bytes_behind_letters_of_several():
    tree, _ = read_yaml(Source("f.yaml", "ä: ü\nb: [ö, x]\n"))
    entry = tree.value[1]

    assert entry.place.text == "b"
    assert [each.place.text for each in entry.node.value] == ["ö", "x"]


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("a: [1", "expected", 1),
        ("a: b: c", "not allowed", 1),
        ("a: 1\n\tb: 2", "", 2),
        ("a: *nobody", "nothing before", 1),
        ("a: 1\n---\nb: 2", "second document", 2),
        ("a: !!int '1'", "tag", 1),
        ("a: !new {}", "tag", 1),
        ("? [a]\n: b", "key", 1),
        ("a: \x01", "", 1),
        ("x: &a [*a]", "nothing before", 1),
    ],
)
def test_what_is_no_yaml_or_too_much_of_it_is_told(text, words, line):
    found, at_line, _ = fault(text)

    assert words in found
    assert at_line == line


def test_depth_and_growth_are_bounded():
    assert "in one another" in fault("[" * 10_000)[0]
    laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 10)}]\n" for n in range(9)
    )
    start = time.perf_counter()

    assert "1,000,000 values" in fault(laughs)[0]
    assert time.perf_counter() - start < 5


@given(st.text(alphabet="abc: -[]{}&*!|>'\"#\n\t0.~%@,?\N{SNOWMAN}", max_size=40))
def test_no_text_does_anything_but_read_or_be_refused(text):
    tree, errors = read_yaml(Source("f.yaml", text))

    assert isinstance(tree, Node)
    for error in errors:
        assert error.render()


def test_a_configuration_in_yaml_is_the_same_as_in_toml():
    yaml = """
        listeners:
          web: {bind: 8080, pool: app}
        pools:
          app:
            backends: ["127.0.0.1:1", {address: "127.0.0.1:2", weight: 3}]
            retry: {hedge: off}
    """
    toml = """
        [listeners.web]
        bind = 8080
        pool = "app"
        [pools.app]
        backends = ["127.0.0.1:1", { address = "127.0.0.1:2", weight = 3 }]
        [pools.app.retry]
        hedge = "off"
    """

    assert parse(yaml, "f.yaml").config == parse(toml).config


def test_mistakes_in_yaml_have_places():
    text = "listeners: {web: {bind: ':0', pool: app, pool: app}}\npools: {app: {backnds: []}}\n"

    assert told(text, "f.yaml") == [
        ("key.duplicate", "pool"),
        ("key.missing", "{backnds: []}"),
        ("key.unknown", "backnds"),
    ]


def test_a_list_is_no_configuration():
    assert told("[1, 2]", "f.yaml") == [("type", "[1, 2]")]


@pytest.mark.parametrize("before", ["", "a: b\n", "a: \N{GRINNING FACE}\u00e4\n# \ufffd\n"])
def test_a_character_that_yaml_does_not_allow_is_shown_where_it_stands(before):
    source = Source("x.yaml", f"{before}c: \x01\n")
    _, [error] = read_yaml(source)

    assert error.place.text == "\x01"
    assert error.place.line == before.count("\n") + 1


def test_a_mistake_at_the_end_has_a_place_within_the_text():
    source = Source("x.yaml", "a: [\u00e4")
    _, [error] = read_yaml(source)

    assert 0 <= error.place.start <= error.place.end <= len(source.data)
