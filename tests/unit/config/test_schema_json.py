from __future__ import annotations

import json
import tomllib

import jsonschema
import pytest

from fairlead.config.schema_json import json_schema
from fairlead.config.write import write_toml
from harness import configs

SCHEMA = json_schema()


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("seed", range(50))
def test_what_is_right_fits_the_schema(seed):
    jsonschema.validate(tomllib.loads(write_toml(configs.config(seed))), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "worker = 1",
        "workers = -1",
        '[pools.app]\nbackends = []\n[listeners.web]\nbind = ":0"',
        '[pools.app]\nbackends = ["a:1"]\npolicy = "least"\n[listeners.web]\nbind = ":0"',
    ],
)
def test_an_editor_underlines_the_common_mistakes(text):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), SCHEMA)


def test_every_key_has_a_description_and_defaults_are_as_in_a_file():
    listener = SCHEMA["properties"]["listeners"]["additionalProperties"]["properties"]

    assert all(key["description"] for key in listener.values())
    assert listener["timeouts"]["properties"]["head"]["default"] == "10s"
    assert "defaults" in SCHEMA["properties"]
    assert "pools" in SCHEMA["properties"]["defaults"]["properties"]
