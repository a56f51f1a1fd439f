"""Users' Python comes and goes: at the start, at a reload, when its file changes."""

from __future__ import annotations

import time

import pytest

from harness.balancer import loopback, run, wait_for
from harness.config import site

SCORES = """
import fairlead

class Mine(fairlead.Policy):
    def score(self, backends):
        return [{scores}]
"""


def config(listen: str, *backends, policy: str = "mine:Mine") -> str:
    # A hedge would be one request more; a busy machine is late enough for one.
    return site(listen, *backends, pool=f'policy = "{policy}"\nretry = {{ hedge = "off" }}')


def shares(balancer, listen: str, backends, count: int = 20) -> list[int]:
    before = [len(each.requests) for each in backends]
    with balancer.connect(listen) as line:
        for _ in range(count):
            assert line.get().status == 200
    return [len(each.requests) - was for each, was in zip(backends, before, strict=True)]


def scored(balancer) -> bool:
    return bool(balancer.status()["pools"][0]["python"]["scored"])


WRONG = {
    "no_module": ("", "there is no module `mine`"),
    "no_name": ("x = 1", "has no `Mine`"),
    "no_policy": ("class Mine: pass", "`mine:Mine` is the class `Mine`, not a policy"),
    "a_number": ("Mine = 7", "`mine:Mine` is a `int`, not a policy"),
    "nothing_written": (
        "import fairlead\nclass Mine(fairlead.Policy): pass",
        "`mine:Mine` has neither `score` nor `pick`",
    ),
    "raises": ("import fairlead\n1 / 0", "ZeroDivisionError: division by zero (mine.py:2, in <mod"),
    "syntax": ("def f(:", "SyntaxError"),
    "exits": ("raise SystemExit(1)", "SystemExit: 1"),
    "not_made": (
        "import fairlead\nclass Mine(fairlead.Policy):\n    def __init__(self, x): pass\n    def score(self, b): return []",
        "`mine:Mine` can't be made: TypeError",
    ),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_policy_that_cannot_be_used_ends_the_start_with_its_place(
    tmp_path, case: str, command: str
) -> None:
    text, told = WRONG[case]
    if text:
        (tmp_path / "mine.py").write_text(text)
    path = tmp_path / "fairlead.toml"
    path.write_text(config(loopback(), "127.0.0.1:1"))

    done = run(command, str(path))

    line = 1 + next(n for n, row in enumerate(path.read_text().splitlines()) if "mine:Mine" in row)
    assert done.returncode == 2, done.stderr
    assert "error[policy.python]" in done.stderr
    assert f"fairlead.toml:{line}:" in done.stderr, done.stderr
    assert told in done.stderr, done.stderr
    assert "expected" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "__pycache__").exists(), "nothing is left in a folder of configurations"


def test_a_module_of_another_name_is_suggested(tmp_path) -> None:
    (tmp_path / "policies.py").write_text(SCORES.format(scores="1"))
    path = tmp_path / "fairlead.toml"
    path.write_text(config(loopback(), "127.0.0.1:1", policy="polices:Mine"))
    assert "did you mean `policies`?" in run("check", str(path)).stderr

    path.write_text(config(loopback(), "127.0.0.1:1", policy="policies:Mime"))
    assert "did you mean `Mine`?" in run("check", str(path)).stderr

    path.write_text(config(loopback(), "127.0.0.1:1", policy="policies.py:Mine"))
    assert "name the module, not its file: `policies`" in run("check", str(path)).stderr


def test_all_mistakes_in_python_are_told_at_once(tmp_path) -> None:
    path = tmp_path / "fairlead.toml"
    text = config(loopback(), "127.0.0.1:1") + (
        '[pools.other]\nbackends = ["127.0.0.1:1"]\n'
        'check = { type = "python", function = "checks:is_well" }\n'
    )
    path.write_text(text)

    done = run("check", str(path))

    assert "error[policy.python]" in done.stderr
    assert "error[check.python]" in done.stderr
    assert "2 errors" in done.stderr


def test_a_changed_file_is_used_and_a_wrong_one_is_not(fairlead, backend) -> None:
    backends = [backend(), backend()]
    listen = loopback()
    files = {"mine.py": SCORES.format(scores="1, 0")}
    balancer = fairlead(config=config(listen, *backends), files=files)
    wait_for(lambda: scored(balancer))
    assert shares(balancer, listen, backends) == [20, 0]
    file = balancer.folder / "mine.py"

    def kinds() -> list[str]:
        return [event["event"] for event in balancer.events()]

    file.write_text("def f(:")
    wait_for(lambda: "code_failed" in kinds())
    assert shares(balancer, listen, backends) == [20, 0], "the old one works on"
    balancer.wait_for_output("the old one stays in force")

    # The same number of bytes within the same second: no compiled file may hide it.
    file.write_text(SCORES.format(scores="0, 1"))
    wait_for(lambda: "code_loaded" in kinds())
    rounds = balancer.status()["pools"][0]["python"]["scores"]
    wait_for(lambda: balancer.status()["pools"][0]["python"]["scores"] > rounds)
    assert shares(balancer, listen, backends) == [0, 20]
    assert kinds().count("code_failed") == 1


def test_what_a_policy_imports_from_its_folder_is_loaded_anew_with_it(fairlead, backend) -> None:
    backends = [backend(), backend()]
    listen = loopback()
    mine = (
        "import fairlead\nimport prices\nclass Mine(fairlead.Policy):\n"
        "    def score(self, backends): return prices.SCORES\n"
    )
    files = {"mine.py": mine, "prices.py": "SCORES = [1, 0]"}
    balancer = fairlead(config=config(listen, *backends), files=files)
    wait_for(lambda: scored(balancer))
    assert shares(balancer, listen, backends) == [20, 0]

    (balancer.folder / "prices.py").write_text("SCORES = [0, 1]")
    wait_for(lambda: shares(balancer, listen, backends) == [0, 20])


def test_a_new_policy_takes_the_place_of_one_that_hangs(fairlead, backend) -> None:
    hanging = (
        "import fairlead, threading\nclass Mine(fairlead.Policy):\n"
        "    def score(self, backends): threading.Event().wait()\n"
    )
    backends = [backend(), backend()]
    listen = loopback()
    balancer = fairlead(config=config(listen, *backends), files={"mine.py": hanging})
    wait_for(lambda: balancer.status()["pools"][0]["python"]["stuck"])

    (balancer.folder / "mine.py").write_text(SCORES.format(scores="0, 1"))
    wait_for(lambda: scored(balancer))

    assert shares(balancer, listen, backends) == [0, 20]
    assert not balancer.status()["pools"][0]["python"]["stuck"]


def test_a_reload_with_a_wrong_policy_changes_nothing(fairlead, backend) -> None:
    backends = [backend(), backend()]
    listen = loopback()
    files = {"mine.py": SCORES.format(scores="0, 1")}
    balancer = fairlead(config=config(listen, *backends), files=files)
    wait_for(lambda: scored(balancer))

    status, answer = balancer.reload(config(listen, *backends, policy="mine:Other"))

    assert status == 422, answer
    assert "has no `Other`" in str(answer)
    assert shares(balancer, listen, backends) == [0, 20]


def test_a_reload_brings_policies_in_and_takes_them_out(fairlead, backend) -> None:
    backends = [backend(), backend()]
    listen = loopback()
    files = {"mine.py": SCORES.format(scores="0, 1")}
    plain = site(listen, *backends, pool='retry = { hedge = "off" }')
    balancer = fairlead(config=plain, files=files)
    assert shares(balancer, listen, backends) == [10, 10]
    assert balancer.status()["pools"][0]["python"] is None

    assert balancer.reload(config(listen, *backends))[0] == 200
    wait_for(lambda: scored(balancer))
    assert shares(balancer, listen, backends) == [0, 20]

    assert balancer.reload(plain)[0] == 200
    assert shares(balancer, listen, backends) == [10, 10]


def test_a_policy_that_hangs_does_not_hold_up_the_end(fairlead, backend) -> None:
    hanging = (
        "import fairlead, time\nclass Mine(fairlead.Policy):\n"
        "    def score(self, backends): time.sleep(1000)\n"
    )
    balancer = fairlead(config=config(loopback(), backend()), files={"mine.py": hanging})
    wait_for(lambda: balancer.status()["pools"][0]["python"]["stuck"])
    started = time.monotonic()

    assert balancer.stop() == 0
    assert time.monotonic() - started < 5


def test_the_quick_form_takes_a_policy_of_the_current_folder(fairlead, backend) -> None:
    backends = [backend(), backend()]
    listen = loopback()
    words = [each.address for each in backends]
    balancer = fairlead(
        "http", listen, *words, "--policy", "mine:Mine", "--check", "none",
        files={"mine.py": SCORES.format(scores="0, 1")},
    )  # fmt: skip
    wait_for(lambda: scored(balancer))

    assert shares(balancer, listen, backends) == [0, 20]
