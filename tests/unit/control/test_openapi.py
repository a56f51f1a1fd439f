"""The description of the API."""

import json

import pytest

from fairlead.control.openapi import document
from fairlead.control.routes import ROUTES


@pytest.mark.parametrize("token", [False, True])
def test_every_route_is_described(token):
    described = document("1.2.3", token=token)

    assert described["info"]["version"] == "1.2.3"
    for route in ROUTES:
        operation = described["paths"][route.path][route.method.lower()]
        assert operation["operationId"] == route.name
        assert ("security" in operation) is (token and not route.public)
        assert {"400", "401", "403", "405"} <= set(operation["responses"])


def test_every_reference_leads_somewhere():
    described = document("1", token=True)
    text = json.dumps(described)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert names <= set(described["components"]["schemas"])


def test_what_needs_python_may_be_refused_while_it_is_stuck():
    paths = document("1", token=False)["paths"]

    refused = paths["/v1/reload"]["post"]["responses"]["503"]
    assert "`python_stuck`" in refused["description"]
    assert list(refused["content"]) == ["application/problem+json"]
    assert "503" not in paths["/v1/status"]["get"]["responses"]
    assert list(paths["/healthz"]["get"]["responses"]["503"]["content"]) == ["application/json"]
