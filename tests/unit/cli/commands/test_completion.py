from __future__ import annotations

import pytest

from fairlead.cli import main as main_module


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(run, shell):
    done = run("completion", shell)

    assert (done.code, done.err) == (0, "")
    assert f"_FAIRLEAD_COMPLETE={shell}_complete" in done.out
    assert "fairlead" in done.out


def test_another_shell_is_2(run):
    assert run("completion", "csh").code == 2


@pytest.mark.parametrize(
    ("words", "last", "found"),
    [
        ("fairlead ", "", {"http", "status", "completion"}),
        ("fairlead dr", "dr", {"drain"}),
        ("fairlead status --j", "--j", {"--json"}),
    ],
)
def test_the_script_finds_commands_and_options(run, monkeypatch, words, last, found):
    monkeypatch.setenv("_FAIRLEAD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.removesuffix(last).split())))
    done = run()

    assert done.code == 0
    assert found <= {line.removeprefix("plain,") for line in done.out.split()}
    assert main_module.main is not None


def test_the_script_finds_backends_of_what_runs(run, monkeypatch, instance):
    instance()
    monkeypatch.setenv("_FAIRLEAD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "fairlead drain app/")
    monkeypatch.setenv("COMP_CWORD", "2")

    assert run().out.split() == ["plain,app/app1:8000", "plain,app/app2:8000"]
