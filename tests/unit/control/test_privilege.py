"""Whom a start becomes; that it is for good is shown in tests/wire/service."""

import os
import pwd
from types import SimpleNamespace

import pytest

from fairlead.control import privilege
from fairlead.errors import EngineError

OURS = pwd.getpwuid(os.geteuid())


def loaded(**admin):
    config = SimpleNamespace(access_log=None, admin=SimpleNamespace(token_file=None, **admin))
    return SimpleNamespace(config=config, source="command line")


def test_a_user_has_numbers_and_a_group():
    user = privilege.find(OURS.pw_name)

    assert (user.name, user.uid, user.gid) == (OURS.pw_name, OURS.pw_uid, OURS.pw_gid)


@pytest.mark.parametrize("wanted", ["no-such-user", f"{OURS.pw_name}:no-such-group"])
def test_who_is_not_there_is_named(wanted):
    with pytest.raises(EngineError, match="no-such"):
        privilege.find(wanted)


def test_only_root_becomes_another(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(EngineError, match="only root can become"):
        privilege.find(OURS.pw_name)


def test_who_is_that_user_already_has_nothing_to_give_up(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: OURS.pw_uid or 4242)
    user = privilege.User(OURS.pw_name, os.geteuid(), OURS.pw_gid, OURS.pw_dir)
    before = os.getresuid(), dict(os.environ)
    privilege.prepare(user, loaded())
    privilege.drop(user)

    assert (os.getresuid(), dict(os.environ)) == before


def test_no_place_for_the_control_socket_is_no_reason_not_to_start(tmp_path, monkeypatch):
    """`bind_control` says that there is none."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(tmp_path / "missing"))
    first = loaded()

    privilege.prepare(privilege.User(OURS.pw_name, OURS.pw_uid, OURS.pw_gid, OURS.pw_dir), first)

    assert not (tmp_path / "missing").exists()


def test_what_can_be_read_and_written_is_no_matter(tmp_path):
    user = privilege.find(OURS.pw_name)
    first = loaded()
    first.config.access_log = SimpleNamespace(to=str(tmp_path))
    first.source = str(tmp_path)

    assert privilege.check_files(user, first) == []


def test_a_log_that_can_not_be_written_is_an_error(tmp_path):
    user = privilege.find(OURS.pw_name)
    first = loaded()
    first.config.access_log = SimpleNamespace(to=str(tmp_path / "missing" / "log"))
    with pytest.raises(EngineError, match="may not write to it"):
        privilege.check_files(user, first)
