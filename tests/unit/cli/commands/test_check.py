from __future__ import annotations

import json

TEXT = '[listeners.web]\nbind = ":0"\npool = "app"\n[pools.app]\nbackends = ["127.0.0.1:1"]\n'
WRONG = TEXT.replace('bind = ":0"', 'bnid = ":0"')


def test_what_is_right_is_0_and_counted(run, environment):
    (environment / "fairlead.toml").write_text(TEXT)

    assert run("check") == (0, "", "fairlead.toml is right: 1 listener, 1 pool, 1 backend\n")


def test_what_is_right_as_json(run, environment):
    (environment / "a.toml").write_text(TEXT.replace('"127.0.0.1:1"', '"127.0.0.1:1", "[::1]:1"'))
    done = run("check", "a.toml", "--json")

    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {
        "ok": True,
        "config": "a.toml",
        "listeners": 1,
        "pools": 1,
        "backends": 2,
        "errors": [],
    }


def test_what_is_wrong_is_2_and_told_to_people(run, environment):
    (environment / "fairlead.toml").write_text(WRONG)
    done = run("check")

    assert (done.code, done.out) == (2, "")
    assert "fairlead.toml:2:1" in done.err
    assert done.err.endswith("\n2 errors\n")


def test_what_is_wrong_as_json(run, environment):
    (environment / "fairlead.toml").write_text(WRONG)
    done = run("check", "--json")
    answer = json.loads(done.out)

    assert (done.code, done.err, answer["ok"]) == (2, "", False)
    assert answer["errors"][1] == {
        "code": "key.unknown",
        "file": "fairlead.toml",
        "line": 2,
        "column": 1,
        "end_column": 5,
        "text": 'bnid = ":0"',
        "found": "`bnid` is not a key of a listener",
        "expected": "one of `bind`, `protocol`, `pool`, `routes`, `timeouts`, `limits`, "
        "`trusted_proxies`, `via`, `proxy_protocol`, `tcp_keepalive`",
        "hint": "did you mean `bind`?",
    }


def test_what_has_no_place_as_json(run):
    done = run("check", "no.toml", "--json")
    [error] = json.loads(done.out)["errors"]

    assert (done.code, error["code"], error["file"]) == (2, "file.missing", None)


def test_names_need_not_be_known_where_they_are_checked(run, environment, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [])
    (environment / "fairlead.toml").write_text(TEXT.replace("127.0.0.1", "app1.invalid"))

    assert run("check").code == 2
    assert run("check", "--no-resolve").code == 0


def test_a_folder_is_2(run):
    done = run("check", ".")

    assert (done.code, done.err) == (
        2,
        "error[file.unreadable]: can't read `.`: is a directory\n\n1 error\n",
    )
