"""What scripts rely on: commands, exit codes, what goes to which stream, JSON."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import tomllib

import pytest

from harness.backend import free_port, saying
from harness.balancer import PROGRAM, loopback, run, wait_for
from harness.config import site

COMMANDS = [
    "http", "tcp", "run", "demo", "status", "events", "drain", "disable", "enable", "weight",
    "reload", "check", "schema", "completion", "version",
]  # fmt: skip
POST = "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n"
"""Where shares are counted: a GET that a busy machine makes late is put to another backend, too."""


@pytest.fixture
def ask(fairlead, backend):
    """A running fairlead over two backends, and a way to run commands about it."""
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, check='type = "tcp"'))

    def command(*words: str):
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(balancer.runtime), "NO_COLOR": "1"}
        return run(*words, env=environment)

    command.balancer, command.listen, command.one, command.two = balancer, listen, one, two
    return command


# ------------------------------------------------------------------------------------- help, version


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_examples(command: str) -> None:
    done = run(command, "--help")

    assert done.returncode == 0
    assert done.stdout.startswith("Examples:\n")
    assert f"fairlead {command}" in done.stdout
    assert done.stderr == ""


def test_the_first_page_lists_every_command() -> None:
    done = run("--help")

    assert done.returncode == 0
    assert all(re.search(rf"^  {command} ", done.stdout, re.MULTILINE) for command in COMMANDS)


def test_version() -> None:
    plain, flag, js = run("version"), run("--version"), run("version", "--json")

    assert re.fullmatch(r"fairlead \d+\.\d+\.\d+\S*\n", plain.stdout)
    assert flag.stdout == plain.stdout
    assert json.loads(js.stdout)["version"] in plain.stdout
    assert (plain.returncode, plain.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there_for_each_shell(shell: str) -> None:
    done = run("completion", shell)

    assert done.returncode == 0
    assert "fairlead" in done.stdout


# ------------------------------------------------------------------------------------------ wrong use


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Usage"),
        (["chekc"], "did you mean `fairlead check`"),
        (["http"], "LISTEN"),
        (["http", ":8080"], "BACKEND"),
        (["http", ":8080", "a:1", "--polcy", "random"], "did you mean `--policy`"),
        (["http", ":8080", "a:1", "--policy", "randon"], "random"),
        (["http", ":8080", "a:1", "--interval", "5"], "5s"),
        (["http", ":99999", "a:1"], "99999"),
        (["http", ":8080", "127.0.0.1:8000*999"], "256"),
        (["http", ":8080", "!"], "!"),
        (["http", ":8080", "https://a:1"], "https"),
        (["run", "/nonexistent/fairlead.toml"], "/nonexistent/fairlead.toml"),
        (["weight", "app/a:1", "heavy"], "heavy"),
        (["weight", "app/a:1", "257"], "256"),
    ],
)
def test_wrong_usage_is_exit_2_with_a_reason(words: list[str], said: str) -> None:
    done = run(*words)

    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_name_that_does_not_resolve_is_exit_2() -> None:
    done = run("http", loopback(), "no-such-host.invalid:80", patience=30)

    assert done.returncode == 2
    assert "no-such-host.invalid" in done.stderr


def test_no_file_anywhere_is_exit_2_and_says_where_it_looked(tmp_path) -> None:
    done = run("run", cwd=tmp_path, env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)})

    assert done.returncode == 2
    assert "fairlead.toml" in done.stderr


def test_a_file_that_can_not_be_read_is_exit_2(tmp_path) -> None:
    (tmp_path / "fairlead.toml").mkdir()

    done = run("check", str(tmp_path / "fairlead.toml"))

    assert done.returncode == 2
    assert "fairlead.toml" in done.stderr


def test_colour_is_for_terminals_only() -> None:
    assert "\x1b[" not in run("--help").stdout
    assert "\x1b[" not in run("chekc").stderr


# ------------------------------------------------------------------------------------------- set-up


def test_the_printed_configuration_does_the_same(fairlead, backend, tmp_path) -> None:
    one, two, backup = (backend(saying(name)) for name in ("one", "two", "backup"))
    listen = loopback()
    words = [
        "http", listen, f"{one.address}*3", two.address, "!", backup.address,
        "--policy", "round-robin", "--check", "none", "--attempts", "4", "--workers", "2",
        "--io", "epoll",
        "--connect-timeout", "700ms",
    ]  # fmt: skip
    done = run(*words, "--print-config")
    assert done.returncode == 0
    config = tomllib.loads(done.stdout)
    assert (config["workers"], config["io"]) == (2, "epoll")
    (tmp_path / "c.toml").write_text(done.stdout)
    assert run("check", str(tmp_path / "c.toml")).returncode == 0

    line = fairlead(config=done.stdout).connect(listen)

    bodies = [line.ask(POST).body for _ in range(40)]
    assert (bodies.count(b"one"), bodies.count(b"two")) == (30, 10)


def test_the_schema_is_one_and_fits(tmp_path) -> None:
    import jsonschema

    schema = json.loads(run("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    good = tomllib.loads(site("127.0.0.1:8080", "a:1", check='type = "tcp"'))
    assert list(validator.iter_errors(good)) == []
    good["pools"]["app"]["polcy"] = "random"
    assert list(validator.iter_errors(good))


def test_check_says_that_all_is_well(tmp_path) -> None:
    path = tmp_path / "fairlead.toml"
    path.write_text(site("127.0.0.1:8080", "127.0.0.1:1"))

    plain, js = run("check", str(path)), run("check", str(path), "--json")

    assert (plain.returncode, plain.stdout) == (0, "")
    assert (js.returncode, json.loads(js.stdout)["ok"]) == (0, True)


def test_the_file_in_the_folder_is_found(fairlead, tmp_path) -> None:
    (tmp_path / "fairlead.toml").write_text(site("127.0.0.1:8080", "127.0.0.1:1"))

    assert run("check", cwd=tmp_path).returncode == 0


def test_yaml_is_read_by_its_name(fairlead, backend, tmp_path) -> None:
    listen = loopback()
    path = tmp_path / "fairlead.yaml"
    path.write_text(
        f"listeners:\n  web:\n    bind: {listen}\n    pool: app\n"
        f'pools:\n  app:\n    backends: ["{backend(saying("yaml")).address}"]\n'
    )

    assert fairlead("run", str(path)).connect(listen).get().body == b"yaml"


# -------------------------------------------------------------------------------- a running instance


def test_status_shows_listeners_pools_and_backends(ask) -> None:
    ask.balancer.connect(ask.listen).get()
    plain, js = ask("status"), ask("status", "--json")

    assert plain.returncode == js.returncode == 0
    assert ask.one.address in plain.stdout
    status = json.loads(js.stdout)
    listener = status["listeners"][0]
    assert (listener["name"], listener["protocol"]) == ("web", "http")
    row = status["pools"][0]["backends"][0]
    for key in ("address", "group", "weight", "state", "health", "reason", "since", "active",
                "requests", "failures", "latency_ms"):  # fmt: skip
        assert key in row, key
    assert set(row["latency_ms"]) >= {"p50", "p99"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", row["since"])


@pytest.mark.parametrize(
    ("command", "state"), [("drain", "draining"), ("disable", "disabled"), ("enable", "enabled")]
)
def test_wishes_take_effect(ask, command: str, state: str) -> None:
    if command == "enable":
        ask("disable", f"app/{ask.one.address}")

    done = ask(command, f"app/{ask.one.address}", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == state
    assert ask.balancer.backends()[ask.one.address]["state"] == state


def test_a_weight_takes_effect(ask) -> None:
    done = ask("weight", f"app/{ask.one.address}", "3")

    assert done.returncode == 0
    line = ask.balancer.connect(ask.listen)
    bodies = [line.ask(POST).body for _ in range(40)]
    assert bodies.count(b"one") == 30


def test_a_backend_that_there_is_not_is_exit_1_and_names_those_there_are(ask) -> None:
    done = ask("drain", "app/nobody:1")

    assert done.returncode == 1
    assert "nobody:1" in done.stderr
    assert ask.one.address in done.stderr


def test_nothing_running_is_exit_1(tmp_path) -> None:
    done = run("status", env={**os.environ, "FAIRLEAD_RUNTIME_DIR": str(tmp_path)})

    assert done.returncode == 1
    assert "running" in done.stderr


def test_an_instance_of_another_runtime_directory_is_no_choice_to_make(ask, fairlead) -> None:
    elsewhere = fairlead("http", loopback(), ask.one.address)

    done = ask("status", "--json")

    assert json.loads(done.stdout)["pid"] == ask.balancer.process.pid
    assert elsewhere.process.poll() is None


def test_several_instances_have_to_be_told_apart(fairlead, backend, tmp_path) -> None:
    os.chmod(tmp_path, 0o700)  # noqa: PTH101 - a runtime folder
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    balancers = [
        fairlead("http", loopback(), backend().address, environment=runtime) for _ in range(2)
    ]
    environment = {**os.environ, **runtime}

    vague = run("status", env=environment)
    exact = run("status", "--json", "--instance", str(balancers[1].process.pid), env=environment)

    assert vague.returncode == 1
    assert all(str(balancer.process.pid) in vague.stderr for balancer in balancers)
    assert json.loads(exact.stdout)["pid"] == balancers[1].process.pid


def test_events_can_be_followed(ask) -> None:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(ask.balancer.runtime)}
    process = subprocess.Popen(
        [str(PROGRAM), "events", "--json"], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "what was before, and then what comes"
        ask.one.refuse()
        while True:
            event = json.loads(process.stdout.readline())
            if event["event"] == "health" and event["to"] == "down":
                break
        assert event["backend"] == ask.one.address
        assert set(event) >= {"time", "pool", "backend", "from", "to", "why"}
        process.send_signal(signal.SIGINT)
        assert process.wait(5) in (0, 130)
    finally:
        process.kill()
        process.communicate()


def test_reload_says_what_changed(ask) -> None:
    unchanged = ask("reload")
    ask.balancer.config.write_text(site(ask.listen, ask.one, check='type = "tcp"'))
    changed = ask("reload", "--json")
    ask.balancer.config.write_text("nonsense")
    wrong = ask("reload")

    assert unchanged.returncode == 0
    assert (changed.returncode, json.loads(changed.stdout)["changed"]) == (0, True)
    assert wrong.returncode == 2
    assert "fairlead.toml" in wrong.stderr


def test_the_control_socket_is_its_owners_alone(ask) -> None:
    folder = ask.balancer.runtime / "fairlead"
    path = folder / f"{ask.balancer.process.pid}.sock"

    assert path.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
    ask.balancer.stop()
    assert not path.exists()


# --------------------------------------------------------------------------------------------- admin


def test_the_admin_address_serves_the_api_and_refuses_strangers(fairlead, backend) -> None:
    import httpx

    listen, admin = loopback(), loopback()
    one = backend()
    fairlead("http", listen, one.address, "--admin", admin, "--check", "none")

    assert httpx.get(f"http://{admin}/healthz").status_code == 200
    assert httpx.get(f"http://{admin}/v1/pools/app").json()["name"] == "app"
    assert httpx.get(f"http://{admin}/v1/pools/nobody").status_code == 404
    rebound = httpx.get(f"http://{admin}/v1/status", headers={"Host": "evil.example"})
    assert rebound.status_code in (400, 403, 421)
    foreign = httpx.patch(
        f"http://{admin}/v1/pools/app/backends/{one.address}",
        json={"state": "disabled"},
        headers={"Origin": "http://evil.example"},
    )
    assert foreign.status_code == 403


def test_an_admin_address_that_others_can_reach_is_refused() -> None:
    done = run("http", loopback(), "127.0.0.1:1", "--admin", f"0.0.0.0:{free_port()}")

    assert done.returncode == 2


# ---------------------------------------------------------------------------------------- starting up


def test_it_starts_without_a_place_for_its_control_socket(fairlead, backend) -> None:
    listen = loopback()
    one = backend(saying("served all the same"))
    balancer = fairlead(
        "http", listen, one.address, environment={"XDG_RUNTIME_DIR": "/proc/nowhere"}
    )

    assert balancer.connect(listen).get().body == b"served all the same"


def test_it_takes_its_output_being_closed(backend, short_path) -> None:
    """Its log may go to a pipe whose reader ended: that must not end the traffic."""
    listen = loopback()
    one = backend(saying("hello"))
    process = subprocess.Popen(
        [str(PROGRAM), "http", listen, one.address],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "XDG_RUNTIME_DIR": str(short_path)},
    )
    try:
        assert process.stderr is not None
        while b"ready" not in process.stderr.readline():
            pass
        process.stderr.close()
        one.refuse()
        time.sleep(1)
        one.listen_again()
        host, port = listen.split(":")
        wait_for(lambda: _answers(host, int(port)), 10)
    finally:
        process.kill()
        process.wait()


def _answers(host: str, port: int) -> bool:
    with socket.create_connection((host, port), 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return b" 200 " in sock.recv(1000)
