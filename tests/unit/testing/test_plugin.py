"""The fixtures for pytest, as a user's own tests use them."""

import http.client
import os
import re
import subprocess
import sys
import urllib.request
from importlib.metadata import entry_points

import pytest

from harness.sources import text

# The whole of a user's test, as docs/guides/testing.md has it.
USERS = re.search(
    r"```python\n(import urllib.*?def test_.*?)```", text("docs/guides/testing.md"), re.DOTALL
)[1]


def run_pytest(folder, *words):
    (folder / "test_mine.py").write_text(USERS)
    # What else is installed here takes seconds to be loaded.
    others = [
        word for name in ("schemathesis", "hypothesispytest") for word in ("-p", f"no:{name}")
    ]
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *others,
            *words,
            "test_mine.py",
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_pytest_finds_it_by_itself():
    found = {entry.name: entry.value for entry in entry_points(group="pytest11")}
    assert found.get("fairlead") == "fairlead.testing.plugin", "build the package again"


@pytest.mark.alone
def test_a_users_own_test_takes_ten_lines_and_less_than_a_second(tmp_path):
    assert len(USERS.strip().splitlines()) <= 10
    took = []
    for _ in range(5):
        done = run_pytest(tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        took.append(float(re.search(r"1 passed in ([0-9.]+)s", done.stdout)[1]))
        if took[-1] < 1:
            break
    # A machine that does much else beside it may take its time; not five times.
    assert took[-1] < 1, took


def test_it_costs_nothing_until_it_is_used(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    heavy = ('fairlead._engine', 'fairlead.testing.backend', 'h11', 'msgspec')\n"
        "    print('imported:', [name for name in heavy if name in sys.modules])\n"
    )
    done = run_pytest(tmp_path, "--collect-only")
    assert "imported: []" in done.stdout, done.stdout + done.stderr


def test_backends_and_balancers_are_made_and_stopped(fairlead_backend, fairlead_balancer):
    one, echo = fairlead_backend("one"), fairlead_backend("echo", protocol="tcp")
    http, tcp = fairlead_balancer(one), fairlead_balancer(echo, protocol="tcp")

    assert http.status().pool("app").backends[0].address == one.address
    assert tcp.status().listeners[0].protocol == "tcp"


FAULTS = {
    "refuse": lambda one: one.refuse(),
    "hang": lambda one: one.hang(),
    "close": lambda one: one.close(),
    "reset": lambda one: one.reset(),
    "slow": lambda one: one.slow(0.3),
    "garbage": lambda one: one.garbage(),
    "half a head": lambda one: one.half_head(),
    "freeze": lambda one: one.freeze(),
    "swallow": lambda one: one.swallow(),
    "503": lambda one: one.answer(status=503),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_backend_does_a_balancer_before_two_answers(
    fairlead_backend, fairlead_balancer, fault
):
    one, two = fairlead_backend("one"), fairlead_backend("two")
    balancer = fairlead_balancer(one, two)

    FAULTS[fault](one)

    for _ in range(10):
        with urllib.request.urlopen(f"http://{balancer.address}/", timeout=5) as answer:
            assert answer.status == 200
    assert two.hits() >= 5


def test_half_a_body_is_what_nobody_can_hide(fairlead_backend, fairlead_balancer):
    """Its beginning has gone to the client: who sees that it was not all of it."""
    one = fairlead_backend("one")
    balancer = fairlead_balancer(one)
    one.half_body()

    with urllib.request.urlopen(f"http://{balancer.address}/", timeout=5) as answer:
        assert answer.status == 200
        with pytest.raises(http.client.IncompleteRead):
            answer.read()


def test_a_configuration_is_used_as_it_is(fairlead_backend, fairlead_balancer):
    one = fairlead_backend("one")
    made = (
        f'[listeners.a]\nbind = "127.0.0.1:0"\npool = "b"\n[pools.b]\nbackends = ["{one.address}"]'
    )

    assert fairlead_balancer(made).status().pool("b") is not None
    with pytest.raises(TypeError, match="either backends"):
        fairlead_balancer(one, made)
