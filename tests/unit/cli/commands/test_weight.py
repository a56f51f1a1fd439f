from __future__ import annotations

import json

PATCH = "PATCH /v1/pools/app/backends/app1:8000"


def changed(body):
    return 200, {"address": "app1:8000", **body}


def test_a_weight_is_passed_on_and_told(run, instance):
    made = instance({PATCH: changed})

    assert run("weight", "app/app1:8000", "3") == (0, "", "app/app1:8000 has weight 3\n")
    assert made.asked[-1] == (*PATCH.split(), {"weight": 3})


def test_a_weight_as_json(run, instance):
    instance({PATCH: changed})

    assert json.loads(run("weight", "app1:8000", "0", "--json").out)["weight"] == 0


def test_a_weight_out_of_range_is_2(run):
    assert run("weight", "app/app1:8000", "257").code == 2
