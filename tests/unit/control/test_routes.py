"""The table of routes."""

import pytest

from fairlead.control.routes import ROUTES


def test_each_route_stands_once_and_has_a_name_of_its_own():
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert len({route.name for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/pools/app", {"pool"}),
        ("/v1/pools/app/", set()),
        ("/v1/pools/app/backends", {"backends", "add_backend"}),
        ("/v1/pools/app/backends/unix:/run/a", {"backend", "change_backend", "remove_backend"}),
        ("/v1/status.json", set()),
        ("/metricsx", set()),
    ],
)
def test_a_path_leads_where_the_table_says(path, found):
    assert {route.name for route in ROUTES if route.pattern.fullmatch(path)} == found


def test_texts_are_sentences_without_their_full_stop():
    assert all(route.text[0].isupper() and route.text[-1] != "." for route in ROUTES)
