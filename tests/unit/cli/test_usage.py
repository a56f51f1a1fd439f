from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            ["http", ":80", "a:1", "--polcy", "x"],
            "`fairlead http` has no option `--polcy`",
            "did you mean `--policy`?",
        ),
        (
            ["http", ":80", "a:1", "-z"],
            "`fairlead http` has no option `-z`",
            "`fairlead http --help` lists the options",
        ),
        (
            ["--vrsion"],
            "`fairlead` has no option `--vrsion`",
            "did you mean `--version`?",
        ),
        (["http"], "`fairlead http` needs LISTEN", "`fairlead http --help` explains it"),
        (
            ["http", ":80", "a:1", "--rise", "x"],
            "`--rise`: `x` is not a whole number",
            "`fairlead http --help` explains it",
        ),
        (
            ["weight", "app/a:1", "999"],
            "`N`: `999` is not a whole number from 0 to 256",
            "`fairlead weight --help` explains it",
        ),
        (
            ["schema", "more"],
            "got unexpected extra argument (more)",
            "`fairlead schema --help` explains it",
        ),
        (
            ["why"],
            "`fairlead why` (explaining single requests) is not available in this version",
            "`fairlead --help` lists the commands",
        ),
        (["banana"], "there is no command `banana`", "`fairlead --help` lists the commands"),
    ],
)
def test_what_is_said(run, words, message, hint):
    done = run(*words)
    lines = done.err.splitlines()

    assert (done.code, done.out) == (2, "")
    assert lines[:2] == [f"error: {message}", f"hint: {hint}"]
    assert lines[2].startswith("example: fairlead ")
    assert len(lines) == 3
