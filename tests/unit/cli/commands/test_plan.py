from __future__ import annotations

import json

PLAN = "POST /v1/config/plan"
TEXT = """
[admin]
listen = "127.0.0.1:9100"
[listeners.web]
bind = ":8080"
pool = "app"
[pools.app]
backends = ["app1:8000", "app2:8000*3"]
"""


def test_steps_are_data(run, instance, environment):
    (environment / "new.toml").write_text(TEXT)
    steps = ["add backend app/app2:8000", "change backend app/app1:8000: weight"]
    made = instance({PLAN: (200, {"changed": True, "steps": steps})})

    assert run("plan", "new.toml") == (0, "\n".join(steps) + "\n", "")
    (asked,) = [body for method, path, body in made.asked if path == "/v1/config/plan"]
    assert asked["pools"] == {"app": {"backends": ["app1:8000", "app2:8000*3"]}}
    assert "admin" not in asked


def test_nothing_to_do_is_said_to_people(run, instance, environment):
    (environment / "new.toml").write_text(TEXT)
    answer = {"changed": False, "steps": []}
    instance({PLAN: (200, answer)})

    assert run("plan", "new.toml") == (0, "", "nothing would change\n")
    assert json.loads(run("plan", "new.toml", "--json").out) == answer


def test_a_wrong_file_is_told_with_its_places_and_nobody_is_asked(run, instance, environment):
    (environment / "new.toml").write_text(TEXT.replace("pool =", "pol ="))
    made = instance()
    done = run("plan", "new.toml")

    assert done.code == 2
    assert "new.toml:6:1" in done.err
    assert made.asked == []


def test_a_refusal_of_the_instance_is_told(run, instance, environment):
    (environment / "new.toml").write_text(TEXT)
    instance({PLAN: (422, {"detail": "`app1` can't be resolved", "code": "config"})})

    assert run("plan", "new.toml") == (1, "", "error: `app1` can't be resolved\n")
