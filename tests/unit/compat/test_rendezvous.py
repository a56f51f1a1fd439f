from __future__ import annotations

import pytest

from fairlead.compat.rendezvous import Answer, Greeting, directories, name
from fairlead.control import paths


def test_what_is_sent_can_be_read():
    assert Greeting.decode(Greeting(123, 4).encode()) == Greeting(123, 4)
    assert Answer("hé\n", 3).encode() == b"go 3 0 4\nh\xc3\xa9\n"
    assert Answer("", 0, 69).encode() == b"end 0 69 0\n"


def test_names_differ_by_port_and_address():
    assert len({name(80, None), name(81, None), name(80, "127.0.0.1"), name(80, "::1")}) == 4


@pytest.mark.parametrize(
    "environment",
    [
        {"FAIRLEAD_RUNTIME_DIR": "{tmp}"},
        {"XDG_RUNTIME_DIR": "{tmp}"},
        {"RUNTIME_DIRECTORY": "{tmp}/fairlead"},
        {},
    ],
)
def test_the_places_are_those_of_the_control_sockets(environment, tmp_path, monkeypatch):
    for variable in ("FAIRLEAD_RUNTIME_DIR", "XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value.format(tmp=tmp_path))
    (tmp_path / "fairlead").mkdir(mode=0o700)

    trusted = [str(where) for where in paths._directories() if paths._is_trusted(where)]

    assert directories() == trusted


def test_a_place_that_is_no_directory_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "fairlead").touch()

    assert directories() == []
