from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from fairlead.compat.client import connect, interact, run_command
from fairlead.compat.rendezvous import Answer, Greeting, name
from fairlead.compat.usage import NobodyError


@pytest.fixture
def instance(short_path, monkeypatch):
    """Plays an instance: it greets, and gives these bytes for whatever it is asked."""
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(short_path))
    (short_path / "fairlead").mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    threads, asked = [], []

    def play(*answers: bytes):
        listener.bind(str(short_path / "fairlead" / name(80, None)))
        listener.listen()

        def run():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(Greeting(77, 0).encode())
                for answer in answers:
                    connection.recv(4096)
                    connection.sendall(answer)

        threads.append(threading.Thread(target=run))
        threads[0].start()
        asked.append(connect(80, None))
        return asked[0]

    yield play
    for each in asked:
        each.close()
    for thread in threads:
        thread.join(5)
    listener.close()


def test_one_command_is_asked_and_shown(instance):
    shown = []

    code = run_command(instance(Answer("a\nb\n", 0).encode()), "show", shown.append)

    assert (code, shown) == (0, ["a\nb\n"])


def test_the_code_of_an_end_is_the_programs(instance):
    assert run_command(instance(Answer("no\n", 0, 69).encode()), "kill", lambda _: None) == 69


def test_a_prompt_follows_the_group_and_the_end_of_the_input_ends(instance):
    shown = []
    answers = [Answer("", 3).encode(), Answer("x\n", 3).encode()]

    assert interact(instance(*answers), ["group 3\n", "y\n"], shown.append) == 0

    assert "".join(shown) == (
        "\nbalance 3.54 interactive command shell\nPID of master process is 77\n\n"
        "balance[0] balance[3] x\nbalance[3] \n"
    )


def test_an_instance_that_goes_away_is_nobody(instance):
    with pytest.raises(NobodyError):
        instance(b"").ask("show")


def test_without_a_rendezvous_there_is_nobody(short_path, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(short_path))
    with pytest.raises(NobodyError):
        connect(80, None)

    (short_path / "fairlead").mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(short_path / "fairlead" / name(80, None)))
    listener.close()
    with pytest.raises(NobodyError):
        connect(80, None)


# Root may use everything, so whoever is root becomes nobody first; its code is loaded by then.
CONNECT_AS_NOBODY = """
import os
from fairlead.compat.client import connect
from fairlead.compat.usage import ExitError
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    connect(80, None)
except ExitError as caught:
    print(caught.code)
"""


def test_a_rendezvous_that_may_not_be_used_is_66(short_path, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(short_path))
    (short_path / "fairlead").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        path = short_path / "fairlead" / name(80, None)
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        for folder in (short_path, short_path / "fairlead"):
            folder.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", CONNECT_AS_NOBODY], capture_output=True, text=True, check=False
        )
    assert (done.stdout, done.stderr) == ("66\n", "")
