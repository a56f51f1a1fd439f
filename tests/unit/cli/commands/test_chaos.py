from __future__ import annotations

import itertools
import json

import pytest

from fairlead.cli.commands import chaos
from fairlead.cli.commands.status import render as render_status
from harness.instance import STATUS

TOLD = {
    "pool": "app",
    "backend": "app1:8000",
    "fault": "freeze",
    "share": 0.1,
    "delay_ms": None,
    "checks": True,
    "started": "2026-11-21T12:00:00.000Z",
    "seconds": 30.0,
    "running": False,
    "seconds_left": 0.0,
    "settled": True,
    "played": {"of": 4_120, "suffered": 412},
    "played_checks": {"of": 15, "suffered": 2},
    "noticed": {"after_seconds": 0.26, "health": "suspect", "why": "traffic: no answer"},
    "restored_after_seconds": 0.8,
    "clients": {
        "served": 12_345,
        "failed": 0,
        "errors": {},
        "left": 0,
        "slow_ms": 250.0,
        "slow": 3,
        "slow_expected": 0.5,
        "p99_ms_before": 12.3,
    },
}
RUNNING = {**TOLD, "running": True, "seconds_left": 12.4, "settled": False}

REPORT = """\
freeze of 10% at app/app1:8000, ended
played    at 412 of 4,120 attempts and 2 of 15 checks, in 30.0 s
noticed   after 0.26 s: suspect (traffic: no answer)
restored  healthy 0.80 s after the end
clients   12,345 served, not one error
          3 slower than 250 ms (0.5 expected; before, 99 % took at most 12.3 ms)
"""

GET, POST, DELETE = (f"{method} /v1/chaos" for method in ("GET", "POST", "DELETE"))
PLAY = ["chaos", "--backend", "app1:8000", "--fault", "freeze"]


def saying(*told):
    answers = itertools.chain(told, itertools.repeat(told[-1]))
    return lambda _: (200, {"chaos": next(answers)})


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(chaos, "_LOOK_SECONDS", 0)


def test_it_is_followed_to_its_end_and_reported(run, instance):
    ended = {**TOLD, "settled": False}
    made = instance({POST: saying(RUNNING), GET: saying(RUNNING, ended, ended, TOLD)})

    done = run(*PLAY, "--share", "10%", "--for", "30s")

    assert (done.code, done.out) == (0, REPORT)
    assert done.err == (
        "playing freeze of 10% at app/app1:8000, 12 s left; Ctrl-C ends it\n"
        "ended; waiting until the backend is healthy\n"
    )
    asked = next(body for method, _, body in made.asked if method == "POST")
    assert asked == {
        "pool": "app",
        "backend": "app1:8000",
        "fault": "freeze",
        "share": 0.1,
        "seconds": 30.0,
        "delay_seconds": 2.0,
        "checks": False,
    }


def test_a_client_that_got_an_error_is_exit_1(run, instance):
    failed = {**TOLD["clients"], "failed": 3, "errors": {"backend_reset": 1, "no_backend": 2}}
    instance({GET: saying({**TOLD, "clients": {**failed, "left": 4, "p99_ms_before": None}})})

    done = run("chaos")

    assert done.code == 1
    assert "12,345 served, 3 failed: 1 backend_reset, 2 no_backend\n" in done.out
    assert "(0.5 expected); 4 left before their answer\n" in done.out


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"noticed": None}, "noticed   not at all: its health didn't change"),
        ({"restored_after_seconds": 0.0}, "restored  it was healthy at the end"),
        ({"restored_after_seconds": None}, "restored  not within a minute of the end"),
        ({"restored_after_seconds": None, "settled": False}, "restored  not yet"),
    ],
)
def test_what_did_not_happen_is_told(change, line):
    assert line in chaos.render({**TOLD, **change}).splitlines()


def test_without_words_it_tells_of_the_last(run, instance):
    instance({GET: saying(None)})

    assert run("chaos") == (0, "nothing was played so far\n", "")
    assert run("chaos", "--json").out == "null\n"


def test_it_can_be_stopped(run, instance):
    made = instance({DELETE: saying(TOLD)})

    assert run("chaos", "--stop") == (0, REPORT, "")
    assert made.asked[-1] == ("DELETE", "/v1/chaos", None)


def test_ctrl_c_ends_it_and_a_second_one_waits_no_longer(run, instance, monkeypatch):
    made = instance({POST: saying(RUNNING), GET: saying(RUNNING), DELETE: saying(TOLD)})
    presses = iter([True, True])

    def sleep(_):
        if next(presses, False):
            raise KeyboardInterrupt

    monkeypatch.setattr(chaos.time, "sleep", sleep)
    ended = {**TOLD, "settled": False}
    made._answers[GET] = saying(RUNNING, ended, ended)

    assert run(*PLAY).out == REPORT
    assert [method for method, _, _ in made.asked if method == "DELETE"] == ["DELETE", "DELETE"]


def test_one_that_somebody_else_began_ends_the_waiting(run, instance):
    other = {**RUNNING, "started": "2026-11-21T13:00:00.000Z"}
    instance({POST: saying(RUNNING), GET: saying(other)})

    assert json.loads(run(*PLAY, "--json").out)["started"] == other["started"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fault", "drop"], "belong together"),
        (["--backend", "app/a:1", "--fault", "drop", "--stop"], "belong together"),
        (["--backend", "app/a:1", "--fault", "flood"], "flood"),
        (["--backend", "app/a:1", "--fault", "drop", "--share", "10"], "not a percentage"),
        (["--backend", "app/a:1", "--fault", "drop", "--for", "1d"], "not a duration"),
        (["--share", "10%", "--for", "30s"], "belong together"),
        (["--delay", "2s"], "belong together"),
        (["--checks"], "belong together"),
        (["--stop", "--for", "30s"], "belong together"),
        ([*PLAY[1:], "--delay", "1s"], "`--delay` is for `--fault delay`"),
        ([*PLAY[1:], "--checks"], "`--checks` is for `--fault error`"),
    ],
)
def test_wrong_words_are_2(run, words, said):
    done = run("chaos", *words)

    assert done.code == 2
    assert said in done.err


def test_the_status_says_that_it_is_on_purpose():
    shown = render_status({**STATUS, "chaos": RUNNING})
    assert "chaos: freeze of 10% at app/app1:8000, 12 s left (`fairlead chaos` says more)" in shown
    assert "chaos" not in render_status(STATUS)
