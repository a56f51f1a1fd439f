from __future__ import annotations

import json

from fairlead.cli.commands.status import render
from harness.instance import STATUS

TABLE = """\
fairlead 0.1.0 · pid 4242 · /etc/shop/fairlead.toml · 2 workers · up 3h12m

LISTENER  ADDRESS                       PROTOCOL  CONNECTIONS   SERVED  RATE     P50     P99  FAILED
web       [::]:8080                     http               12  120,331   305  1.5 ms  150 ms  31 response_timeout, 2 no_backend
db        127.0.0.1:5432, unix:/run/db  tcp                 3       99   0.0       -       -

POOL  GROUP  POLICY       AVAILABLE  ACTIVE  REQUESTS   RATE     P50     P90     P99   P99.9  FAILURES
app       0  round-robin        1/2       4   120,000  100.0  1.2 ms  2.0 ms  141 ms  500 ms  17 connect_refused, 1 backend_reset

POOL  BACKEND         GROUP  WEIGHT  STATE     HEALTH     FOR  ACTIVE  REQUESTS  RATE  FAILURES     P50     P99  REASON
app   app1:8000           0       3  enabled   healthy  3h12m       4    90,000   0.0         1  1.2 ms  141 ms
app   app2:8000           0       1  draining  down     1m15s       0    30,000   0.0        17       -       -  check: connect refused, 3 in a row
db    unix:/run/pg/1      0       1  enabled   unknown      -       0         0   0.0         0       -       -
"""

HISTORY = """\
  AGO  POOL  BACKEND    FROM     TO       WHY
1m16s  app   app2:8000  healthy  suspect  check: connect refused, 1 in a row
1m15s  app   app2:8000  suspect  down     check: connect refused, 3 in a row
"""


def test_everything_at_a_glance(run, instance):
    instance()

    assert run("status") == (0, TABLE, "")


def test_the_last_changes_are_shown_when_asked_for(run, instance):
    instance()

    assert run("status", "--history") == (0, f"{TABLE}\n{HISTORY}", "")
    assert render({}, history=True).endswith("nothing has changed so far")


def test_programs_get_what_the_instance_said(run, instance):
    instance()

    assert json.loads(run("status", "--json").out) == STATUS


def test_health_has_colours(run, instance, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    instance()
    out = run("status").out

    assert "\033[32mhealthy\033[0m" in out
    assert "\033[31mdown\033[0m" in out
    assert "\033[33mdraining\033[0m" in out


def test_python_that_is_stuck_is_told_with_what_goes_on():
    assert (
        "python: stuck since noon: traffic, checks by the engine, drain, disable, enable and weight"
        " go on; the rest is refused until it is back"
    ) in render({"python": "stuck since noon"})


def test_when_nothing_runs(run):
    assert run("status") == (
        1,
        "",
        (
            "error: no fairlead of yours is running\n"
            "hint: start one: `fairlead http :8080 app1:8000`, or `fairlead run`\n"
        ),
    )


def test_an_answer_of_another_version_is_shown_as_far_as_it_goes():
    assert render({}) == "fairlead · 0 workers · up 0s"
    assert render({"stopping": True, "workers": 1}).endswith("1 worker · up 0s · stopping")


def test_a_policy_in_python_has_a_line_of_its_own():
    python = {"fallback": "round-robin", "scores": 1200, "score_failures": 3, "stuck": True}
    pool = {"name": "app", "policy": "mine:Mine", "python": python | {"trouble": "raised E"}}

    assert render({"pools": [pool]}).split("\n\n")[-1] == (
        "POOL  POLICY IN PYTHON  NOW    PICKS  SCORES  FAILED  LAST TROUBLE\n"
        "app   mine:Mine         stuck  -       1,200       3  raised E"
    )
    steps = {"policy_decisions": {"chosen": 1000, "failed": 0, "late": 2}}
    pool |= {"python": python | {"picks": True, "trouble": ""}, "steps": steps}
    assert "stuck  1,000 chosen, 2 late   1,200" in render({"pools": [pool]})


def test_the_access_log_has_a_line_of_its_own(monkeypatch):
    log = {"access_log": {"lines": 1200, "lost": 0}}
    assert "access log: 1,200 lines written, 0 lost" in render(log)

    monkeypatch.setenv("FORCE_COLOR", "1")
    log["access_log"]["lost"] = 31
    assert "\033[33maccess log: 1,200 lines written, 31 lost\033[0m" in render(log)


def test_a_group_with_a_policy_of_its_own_shows_it():
    groups = [{"group": 0, "policy": "hash"}, {"group": 1, "policy": "round-robin"}]
    shown = render({"pools": [{"name": "app", "policy": "round-robin", "groups": groups}]})

    assert [line.split()[1:3] for line in shown.splitlines()[3:]] == [
        ["0", "hash"],
        ["1", "round-robin"],
    ]
