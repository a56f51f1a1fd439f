from __future__ import annotations

import sys

import pytest

from fairlead.cli import drop_in
from fairlead.compat.usage import USAGE_TEXT


def test_a_wrong_command_line_is_64_with_the_usage(run):
    done = run("balance", "-z", "80")

    assert (done.code, done.out) == (64, "")
    assert done.err == f"balance: invalid option -- 'z'\n{USAGE_TEXT}"
    assert run("balance") == (64, "", USAGE_TEXT)


def test_help_that_was_asked_for_is_data(run):
    assert run("balance", "--help") == (0, USAGE_TEXT, "")


def test_that_nobody_is_there_goes_where_answers_go(run):
    assert run("balance", "-c", "show", "1") == (69, "no master process, exiting.\n", "")
    assert run("balance", "-i", "1").code == 69


def test_what_can_not_start_is_told(run):
    done = run("balance", "-f", "-b", "no.such.host.invalid", "80", "10.0.0.1")

    assert (done.code, done.out) == (65, "")
    assert done.err == "unknown or invalid address [no.such.host.invalid]\n"


def test_ctrl_c_is_130(monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(drop_in, "_run", interrupted)

    assert drop_in.run([]) == 130


def test_the_name_of_the_program_decides(capsys, monkeypatch):
    from fairlead.cli.main import main

    for program in ("/usr/local/bin/balance", "balance"):
        monkeypatch.setattr(sys, "argv", [program, "-c", "show", "1"])
        assert main() == 69
        assert drop_in.main() == 69
        assert capsys.readouterr().out.count("no master process") == 2


@pytest.mark.parametrize("module", ["asyncio", "click", "msgspec", "fairlead._engine", "pathlib"])
def test_asking_imports_little(module):
    import subprocess

    program = (
        "import sys; before = set(sys.modules); sys.argv = ['balance', '-c', 'show', '1'];"
        "from fairlead.cli.main import main; main();"
        f"sys.exit({module!r} in set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)

    assert done.returncode == 0, done
