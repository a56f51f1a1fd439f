from __future__ import annotations

import json

import pytest

PATCH = "PATCH /v1/pools/app/backends/app1:8000"


def changed(body):
    return 200, {"address": "app1:8000", "health": "healthy", "active": 3, **body}


@pytest.mark.parametrize(
    ("command", "state", "words"),
    [
        ("drain", "draining", "app/app1:8000 is draining, healthy, 3 still in flight\n"),
        ("disable", "disabled", "app/app1:8000 is disabled, healthy\n"),
        ("enable", "enabled", "app/app1:8000 is enabled, healthy\n"),
    ],
)
def test_a_wish_is_passed_on_and_told(run, instance, command, state, words):
    made = instance({PATCH: changed})

    assert run(command, "app/app1:8000") == (0, "", words)
    assert made.asked[-1] == (*PATCH.split(), {"state": state})


def test_a_wish_as_json(run, instance):
    instance({PATCH: changed})
    done = run("drain", "app1:8000", "--json")

    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["state"] == "draining"


def test_a_name_that_is_not_there_is_1_with_the_nearest(run, instance):
    instance()

    assert run("drain", "app/app1:800") == (
        1,
        "",
        "error: there is no backend `app1:800` in pool `app`\nhint: did you mean `app1:8000`?\n",
    )


def test_one_of_several_instances(run, instance):
    instance(pid=5)
    instance({PATCH: changed}, pid=6)

    assert run("drain", "app1:8000").code == 1
    assert run("drain", "app1:8000", "--instance", "6").code == 0
