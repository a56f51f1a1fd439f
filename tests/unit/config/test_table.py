# No postponed annotations: the keys are read from them.

from typing import Annotated

import msgspec
import pytest

from fairlead import _engine
from fairlead.config.form import Reading, Whole
from fairlead.config.table import Key, Named, Table, Tables, keys
from fairlead.config.tree import Entry, Node
from fairlead.errors import ConfigError
from harness.texts import place

AT = place()


class Point(msgspec.Struct, frozen=True, kw_only=True):
    x: Annotated[int, Key(Whole(0, 9), "Across.")]
    y: Annotated[int, Key(Whole(0, 9), "Down.", why="Because.")] = 7


POINT = Table(Point, "a point", later=("z",), apart={"note": Key(Whole(0, 1), "Elsewhere.")})


def node(value: object) -> Node:
    if isinstance(value, dict):
        return Node("table", [Entry(key, AT, node(each)) for key, each in value.items()], AT)
    if isinstance(value, list):
        return Node("array", [node(each) for each in value], AT)
    return Node("broken" if value is None else "integer", value, AT)


def read(form, value) -> tuple[object, list[tuple[str, str]]]:
    reading = Reading(_engine)
    result = form.read(value if isinstance(value, Node) else node(value), reading, ("points",))
    return result, [(error.code, error.found) for error in reading.errors]


def test_keys_are_in_the_order_of_the_structure():
    assert list(keys(Point)) == ["x", "y"]


def test_a_table_is_read_with_defaults():
    assert read(POINT, {"x": 1}) == (Point(x=1), [])


def test_what_is_read_elsewhere_may_stand_here():
    assert read(POINT, {"x": 1, "note": 5}) == (Point(x=1), [])


def test_what_holds_for_the_whole_file_holds_where_nothing_else_is_said():
    reading = Reading(_engine)
    reading.bases[Point] = {"y": 3}

    assert POINT.read(node({"x": 1}), reading, ()) == Point(x=1, y=3)
    assert POINT.read(node({"x": 1, "y": 4}), reading, ()) == Point(x=1, y=4)


def test_every_mistake_of_a_table_is_told():
    _, errors = read(POINT, {"y": 99, "yy": 1, "z": 2})

    assert errors == [
        ("number.range", "99 is out of range"),
        ("key.unknown", "`yy` is not a key of a point"),
        ("unavailable", "`z` is not available in this version"),
        ("key.missing", "a point has no `x`"),
    ]


def test_a_key_that_stands_twice_is_told():
    twice = Node("table", [Entry("x", AT, node(1)), Entry("x", AT, node(2))], AT)

    assert read(POINT, twice) == (Point(x=1), [("key.duplicate", "`x` stands here twice")])


def test_a_value_that_is_broken_already_is_not_told_again():
    assert read(POINT, {"x": None}) == (Point(x=""), [])
    assert read(Named(POINT, "points"), {"a": None}) == ({}, [])


def test_broken_values_are_known_to_whoever_judges_later():
    reading = Reading(_engine)
    POINT.read(node({"x": 99}), reading, ("p",))

    assert reading.broken == {("p", "x")}


def test_lists_of_tables():
    form = Tables(POINT)

    assert read(form, [{"x": 1}, {"x": 2}]) == ((Point(x=1), Point(x=2)), [])
    assert read(form, [{"x": 1}, 5])[1] == [("type", "an entry of `points` is a whole number")]
    assert form.write((Point(x=1),)) == [{"x": 1}]
    assert form.schema()["type"] == "array"


def test_tables_by_name():
    form = Named(POINT, "points")

    assert read(form, {"a": {"x": 1}, "b": {"x": 2}})[0] == {"a": Point(x=1), "b": Point(x=2)}
    assert form.write({"a": Point(x=1)}) == {"a": {"x": 1}}
    assert form.schema()["additionalProperties"]["type"] == "object"


def test_names_can_be_used_in_addresses_of_the_api():
    form = Named(POINT, "points")

    assert [code for code, _ in read(form, {"a/b": {"x": 1}, "": {"x": 1}})[1]] == [
        "name.form",
        "name.form",
    ]


def test_a_name_that_stands_twice_is_told():
    twice = Node("table", [Entry("a", AT, node({"x": 1})), Entry("a", AT, node({"x": 2}))], AT)

    assert read(Named(POINT, "points"), twice)[1] == [("name.duplicate", "there is a `a` already")]


def test_a_value_where_a_named_table_belongs():
    assert read(Named(POINT, "points"), {"x": 1})[1] == [("type", "`x` is a whole number")]


def test_named_tables_stand_in_a_table():
    with pytest.raises(ConfigError):
        read(Named(POINT, "points"), 5)


def test_only_what_differs_is_written():
    assert POINT.write(Point(x=1)) == {"x": 1}
    assert POINT.write(Point(x=1, y=2)) == {"x": 1, "y": 2}


def test_the_schema_knows_defaults_and_what_is_required():
    schema = POINT.schema()

    assert schema["required"] == ["x"]
    assert schema["properties"]["y"]["default"] == 7
    assert schema["properties"]["y"]["description"] == "Down. Because."
    assert schema["additionalProperties"] is False
