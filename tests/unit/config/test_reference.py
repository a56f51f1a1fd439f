from __future__ import annotations

from fairlead.config import schema
from fairlead.config.reference import render
from fairlead.config.table import keys

STRUCTS = [
    schema.Admin,
    schema.Backend,
    schema.Check,
    schema.Config,
    schema.Limits,
    schema.Listener,
    schema.ListenerTimeouts,
    schema.Pool,
    schema.PoolTimeouts,
    schema.Retry,
    schema.Route,
]


def test_the_page_has_every_key():
    page = render()

    for struct in STRUCTS:
        for name, key in keys(struct).items():
            assert f"- **`{name}`**: {key.text}" in page


def test_defaults_are_spelled_as_in_a_file():
    page = render()

    assert 'Default: `"10s"`.' in page
    assert "Default: `128`." in page
    assert 'Default: "60s" on http, "1h" on tcp.' in page
    assert "Default: none, it is required." in page
