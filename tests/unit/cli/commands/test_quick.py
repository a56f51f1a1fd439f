from __future__ import annotations

import tomllib

import pytest


@pytest.fixture
def served(monkeypatch):
    """What was launched, instead of serving it."""
    made = []

    def launch(load):
        made.append(load(None))
        return 7

    monkeypatch.setattr("fairlead.cli.launch.launch", launch)
    return made


def test_the_quick_form_serves(run, served):
    done = run("http", ":8080", "127.0.0.1:1", "!", "127.0.0.1:2", "--attempts", "2")
    [loaded] = served

    assert done == (7, "", "")
    assert loaded.source == "command line"
    assert [backend.group for backend in loaded.config.pools["app"].backends] == [0, 1]
    assert loaded.config.pools["app"].retry.attempts == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--attempts", "2", "http-listen", "a:1", "!", "b:2"],
        ["http-listen", "a:1", "--attempts=2", "!", "b:2"],
        ["http-listen", "a:1", "!", "--attempts", "2", "b:2"],
        ["http-listen", "a:1", "!", "b:2", "--attempts", "2"],
        ["--attempts", "2", "--", "http-listen", "a:1", "!", "b:2"],
    ],
)
def test_options_and_groups_stand_in_any_order(run, words):
    words = [":8080" if word == "http-listen" else word for word in words]
    done = run("http", *words, "--print-config") if "--" not in words else None
    done = done or run("http", "--print-config", *words)

    assert done.code == 0
    assert tomllib.loads(done.out)["pools"]["app"] == {
        "backends": ["a:1", {"address": "b:2", "group": 1}],
        "retry": {"attempts": 2},
    }


def test_the_printed_file_is_data_and_says_the_same(run):
    done = run(
        *["tcp", "5432", "db1,db2*2", "!", "[::1]:5433", "--policy", "least-connections"],
        *["--check", "none", "--interval", "1s", "--timeout", "500ms", "--rise", "1"],
        *["--fall", "2", "--connect-timeout", "250ms", "--admin", "127.0.0.1:9100"],
        *["--workers", "1", "--access-log", "-", "--print-config"],
    )

    assert (done.code, done.err) == (0, "")
    assert tomllib.loads(done.out) == {
        "workers": 1,
        "access_log": "-",
        "admin": {"listen": "127.0.0.1:9100"},
        "listeners": {"tcp": {"bind": ":5432", "protocol": "tcp", "pool": "app"}},
        "pools": {
            "app": {
                "policy": "least-connections",
                "backends": ["db1:5432", "db2:5432*2", {"address": "[::1]:5433", "group": 1}],
                "check": {
                    "type": "none",
                    "interval": "1s",
                    "timeout": "500ms",
                    "rise": 1,
                    "fall": 2,
                },
                "timeouts": {"connect": "250ms"},
            }
        },
    }


def test_mistakes_are_2_and_underlined(run, served):
    done = run("http", ":8080", "app1", "--interval", "5")

    assert (done.code, done.out, served) == (2, "", [])
    assert "command line:1:21" in done.err
    assert "^ expected a whole number and ms, s, m or h" in done.err
    assert done.err.endswith("2 errors\n")


def test_a_name_without_an_address_is_2(run, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [])
    done = run("http", ":8080", "nowhere.invalid:80")

    assert done.code == 2
    assert "error[name.unresolved]" in done.err


def test_help_teaches_the_exclamation_mark(run):
    done = run("http", "--help")

    assert "! backup:8000" in done.out
