"""The forms of what goes in and out: each is a schema, and the strict ones are closed."""

import json

import jsonschema
import pytest

from fairlead.control import wants
from fairlead.control.shapes import SHAPES


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_a_schema(name):
    jsonschema.Draft202012Validator.check_schema(SHAPES[name])


@pytest.mark.parametrize("name", ["Wish", "NewBackend"])
def test_what_goes_in_is_closed(name):
    assert SHAPES[name]["additionalProperties"] is False


def test_the_examples_of_addresses_are_addresses():
    for address in SHAPES["NewBackend"]["properties"]["address"]["examples"]:
        assert wants.new_backend(json.dumps({"address": address}).encode()).address
