from __future__ import annotations

from datetime import timedelta

import pytest

from fairlead import _engine
from fairlead.config import form
from fairlead.config.place import Place
from fairlead.config.tree import Node
from fairlead.errors import ConfigError
from harness.texts import place

AT = place()
PATH = ("pools", "app", "key")


def reading() -> form.Reading:
    return form.Reading(_engine)


def read(each: form.Form, kind: str, value: object) -> object:
    return each.read(Node(kind, value, AT), reading(), PATH)


def refused(each: form.Form, kind: str, value: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(each, kind, value)
    assert caught.value.place is AT
    return caught.value


def as_it_is(text: str, at: Place) -> str:
    assert at is AT
    return text


FORMS = [
    (form.Spelled(as_it_is, "text"), "string", "x", "x"),
    (form.Spelled(as_it_is, "text", kinds=("integer",)), "integer", 5, "5"),
    (form.Duration(), "string", "2s", timedelta(seconds=2)),
    (form.Size("1B", "1KiB"), "string", "512B", 512),
    (form.Size("1B", "1KiB", none=True), "string", "none", None),
    (form.Share(), "string", "2%", 0.02),
    (form.Whole(0, 9), "integer", 9, 9),
    (form.Choice("a thing", ("one", "two")), "string", "two", "two"),
    (form.Regex(), "string", "^/a+$", "^/a+$"),
    (form.Statuses(), "string", "200-299,404", ((200, 299), (404, 404))),
    (form.Statuses(), "integer", 204, ((204, 204),)),
    (form.Many(form.Whole(0, 9), "numbers"), "integer", 3, (3,)),
]


@pytest.mark.parametrize(("each", "kind", "value", "meaning"), FORMS)
def test_values_are_read_written_and_described(each, kind, value, meaning):
    assert read(each, kind, value) == meaning
    assert each.write(meaning) in (value, str(value))
    assert each.schema()


@pytest.mark.parametrize(("each", "kind", "value", "meaning"), FORMS)
def test_a_value_of_another_kind_is_named_with_its_key(each, kind, value, meaning):
    error = refused(each, "boolean", True)

    assert (error.code, error.found) == ("type", "`key` is true or false")
    assert error.expected


def test_a_flag_is_true_or_false_without_quotes():
    assert read(form.Flag(), "boolean", True) is True
    assert form.Flag().schema() == {"type": "boolean"}
    error = refused(form.Flag(), "string", "true")
    assert (error.code, error.hint) == ("type", "write true without quotes")
    assert refused(form.Flag(), "integer", 1).hint is None


def test_texts_are_written_as_they_are_whatever_the_form():
    assert form.Duration().write("2s") == "2s"
    assert form.Many(form.Whole(0, 9), "numbers").write("7") == "7"


@pytest.mark.parametrize(
    ("each", "kind", "value", "hint"),
    [
        (form.Duration(), "integer", 5, 'write "5s" for seconds or "5ms" for milliseconds'),
        (form.Size("1B", "1KiB"), "integer", 5, 'write "5B" for bytes'),
        (form.Share(), "float", 0.5, 'write "0.5%"'),
        (form.Whole(0, 9), "string", "5", "write 5 without quotes"),
    ],
)
def test_the_likely_slip_gets_a_hint(each, kind, value, hint):
    assert refused(each, kind, value).hint == hint


def test_numbers_and_sizes_have_bounds():
    assert refused(form.Whole(0, 9), "integer", 10).code == "number.range"
    assert refused(form.Size("2B", "1KiB"), "string", "1B").found == "`1B` is too small"
    assert refused(form.Size("2B", "1KiB"), "string", "2KiB").found == "`2KiB` is too large"
    assert refused(form.Size("2B", "1KiB"), "string", "none").code == "size.form"


def test_an_unknown_choice_suggests_the_nearest():
    colours = form.Choice("a colour", ("green", "blue"), later=("red",))

    assert refused(colours, "string", "gren").hint == "did you mean `green`?"
    assert refused(colours, "string", "red").found == (
        "colour `red` is not available in this version"
    )


def test_a_choice_may_take_other_values_that_look_right():
    colours = form.Choice(
        "a colour", ("green",), also=(lambda value: "+" in value, '"a+b" for a mixture', "[+]")
    )

    assert colours.read(Node("string", "a+b", AT), reading(), PATH) == "a+b"
    assert refused(colours, "string", "ab").expected == 'one of "green", or "a+b" for a mixture'
    assert colours.schema() == {"anyOf": [{"enum": ["green"]}, {"pattern": "[+]"}]}


def test_a_regex_that_does_not_compile_says_why():
    assert "not a regular expression" in refused(form.Regex(), "string", "(").found
    assert refused(form.Regex(), "string", "(").hint is None
    assert "linear time" in (refused(form.Regex(), "string", "(?=a)").hint or "")


def test_each_bad_entry_of_a_list_is_reported_and_the_good_ones_are_kept():
    context = reading()
    nodes = [Node("integer", 1, AT), Node("boolean", True, AT), Node("integer", 99, AT)]
    values = form.Many(form.Whole(0, 9), "numbers").read(Node("array", nodes, AT), context, PATH)

    assert values == (1,)
    assert [error.code for error in context.errors] == ["type", "number.range"]
    assert context.errors[0].found == "an entry of `key` is true or false"


def test_a_list_that_needs_an_entry_says_so():
    each = form.Many(form.Whole(0, 9), "numbers", lone=False, least=1)

    assert refused(each, "array", []).code == "list.empty"
    assert refused(each, "integer", 1).code == "type"
    assert each.schema()["minItems"] == 1


def test_one_value_is_written_without_brackets_where_it_may():
    many = form.Many(form.Whole(0, 9), "numbers")

    assert many.write((1,)) == 1
    assert many.write((1, 2)) == [1, 2]
    assert form.Many(form.Whole(0, 9), "numbers", lone=False).write((1,)) == [1]


def test_reading_ends_at_a_thousand_errors():
    context = reading()
    error = ConfigError("x", "y", "z", AT)
    for _ in range(999):
        context.report(error)

    with pytest.raises(form.TooManyErrors):
        context.report(error)
    assert len(context.errors) == 1000


def test_suggestions_end_at_a_hundred():
    context = reading()
    hints = [context.meant("aple", ["apple"]) for _ in range(101)]

    assert hints[99] == "did you mean `apple`?"
    assert hints[100] is None
