from __future__ import annotations

import click
import pytest

from fairlead.cli.ask import find
from fairlead.cli.backend import complete, split
from fairlead.errors import ControlError

TWICE = {
    "pools": [
        {"name": "one", "backends": [{"address": "app1:80"}, {"address": "app2:80"}]},
        {"name": "two", "backends": [{"address": "app1:80"}]},
    ]
}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("app/app1:8000", ("app", "app1:8000")),
        ("app1:8000", ("app", "app1:8000")),
        ("db/unix:/run/pg/1", ("db", "unix:/run/pg/1")),
        ("unix:/run/pg/1", ("db", "unix:/run/pg/1")),
    ],
)
def test_backends_are_found_with_and_without_their_pool(instance, text, meant):
    instance()

    assert split(find(None), text) == meant


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("ap/app1:8000", "there is no pool `ap`", "did you mean `app`?"),
        ("zzz/x", "there is no pool `zzz`", "there are `app`, `db`"),
        ("app/app3:8000", "there is no backend `app3:8000` in pool `app`", "did you mean `app"),
        ("app/zzz", "there is no backend `zzz` in pool `app`", "there are `app1:8000`, `app2:80"),
        ("app1:800", "there is no backend `app1:800`", "did you mean `app/app1:8000`?"),
        ("unix:/x", "there is no backend `unix:/x`", "there are `app/app1:8000`"),
    ],
)
def test_the_nearest_name_is_suggested(instance, text, message, hint):
    instance()

    with pytest.raises(ControlError) as caught:
        split(find(None), text)
    assert str(caught.value) == message
    assert (caught.value.hint or "").startswith(hint)


def test_an_address_in_two_pools_needs_its_pool(instance):
    instance({"GET /v1/pools": (200, TWICE)})

    assert split(find(None), "app2:80") == ("one", "app2:80")
    with pytest.raises(ControlError, match="several pools") as caught:
        split(find(None), "app1:80")
    assert caught.value.hint == "say which: `one/app1:80`, `two/app1:80`"


def test_names_are_completed_from_what_runs(instance):
    ctx = click.Context(click.Command("drain"))
    assert complete(ctx, click.Argument(["backend"]), "") == []

    instance()
    items = complete(ctx, click.Argument(["backend"]), "app/app")
    assert [item.value for item in items] == ["app/app1:8000", "app/app2:8000"]
