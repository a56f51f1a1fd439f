from __future__ import annotations

import json

RELOAD = "POST /v1/reload"


def test_what_changed_is_told(run, instance):
    steps = ["remove backend app/app1:80", "add pool db"]
    instance({RELOAD: (200, {"changed": True, "steps": steps})})

    assert run("reload") == (0, "", "  remove backend app/app1:80\n  add pool db\nreloaded\n")


def test_nothing_may_have_changed(run, instance):
    instance({RELOAD: (200, {"changed": False, "steps": []})})

    assert run("reload") == (0, "", "nothing has changed\n")


def test_a_reload_as_json(run, instance):
    answer = {"changed": False, "steps": []}
    instance({RELOAD: (200, answer)})

    assert json.loads(run("reload", "--json").out) == answer


def test_a_configuration_that_is_wrong_is_told_whole(run, instance):
    error = {"code": "config", "message": "error[x]: y\n --> a:1:1\n\n1 error", "hint": "it stays"}
    instance({RELOAD: (422, {**error, "detail": error["message"]})})

    assert run("reload") == (2, "", "error[x]: y\n --> a:1:1\n\n1 error\nhint: it stays\n")
    done = run("reload", "--json")
    assert (done.code, json.loads(done.out)) == (2, {"changed": False, "error": error})


def test_an_address_that_can_not_be_had_is_2(run, instance):
    error = {"code": "bind", "detail": "can't listen on :80", "hint": "stop it"}
    instance({RELOAD: (409, error)})

    assert run("reload") == (2, "", "error: can't listen on :80\nhint: stop it\n")


def test_another_refusal_is_1(run, instance):
    instance({RELOAD: (409, {"code": "stopping", "detail": "it is stopping"})})

    assert run("reload") == (1, "", "error: it is stopping\n")
