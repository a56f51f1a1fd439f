from __future__ import annotations

import json

from fairlead.config.schema_json import json_schema


def test_the_schema_is_printed(run):
    done = run("schema")

    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == json_schema()
    assert run("schema", "--json") == done
