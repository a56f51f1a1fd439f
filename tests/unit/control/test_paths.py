"""Where control sockets live, and who is alive there."""

import os
import socket
import stat
from pathlib import Path

import pytest

from fairlead.control import paths
from fairlead.errors import EngineError


@pytest.fixture
def runtime(short_path, monkeypatch):
    monkeypatch.delenv("FAIRLEAD_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    monkeypatch.setattr(paths, "_OF_ROOT", short_path / "root")
    return short_path / "fairlead"


@pytest.fixture
def secluded(runtime, monkeypatch):
    """The same without the place that all processes of a user share: other tests use it meanwhile."""
    monkeypatch.setattr(paths, "_usual", lambda: [paths._OF_ROOT])
    return runtime


def test_without_a_runtime_directory_root_and_others_have_their_own(monkeypatch):
    for name in ("FAIRLEAD_RUNTIME_DIR", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert paths.directory() == Path("/run/fairlead")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert paths.directory() == Path("/tmp/fairlead-1000")


def test_only_the_user_may_enter_and_ask(runtime):
    listening = paths.listen(42)
    assert listening.path == runtime / "42.sock"
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    assert stat.S_IMODE(listening.path.stat().st_mode) == 0o600
    assert os.listdir(runtime) == ["42.sock"]
    paths.close(listening)
    assert os.listdir(runtime) == []


def test_a_directory_open_to_others_is_closed(runtime):
    runtime.mkdir(mode=0o777)
    runtime.chmod(0o777)
    paths.close(paths.listen(1))
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700


def test_a_directory_of_somebody_else_is_refused(runtime, monkeypatch):
    runtime.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(paths.UnsafeDirectoryError, match="belongs to user"):
        paths.listen(1)


def test_where_the_first_of_the_usual_places_is_somebody_elses_the_next_is_taken(
    short_path, monkeypatch
):
    """`/run/fairlead` may belong to the user of a service, and root starts one beside it."""
    for name in ("FAIRLEAD_RUNTIME_DIR", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    theirs, ours = short_path / "run", short_path / "tmp"
    theirs.symlink_to("/proc")
    monkeypatch.setattr(paths, "_usual", lambda: [theirs, ours])

    listening = paths.listen_named("balance.25.0.0.0.0.sock")
    assert listening.path == ours / "balance.25.0.0.0.0.sock"
    paths.close(listening)

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path / "none"))
    with pytest.raises(OSError, match="none"):
        paths.listen(1)


def test_a_link_in_the_directorys_place_is_refused(runtime, short_path):
    (short_path / "elsewhere").mkdir()
    runtime.symlink_to(short_path / "elsewhere")
    with pytest.raises(paths.UnsafeDirectoryError, match="is not a directory"):
        paths.listen(1)


def test_the_dead_are_removed_and_the_living_listed(runtime):
    alive = paths.listen(10)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(runtime / "11.sock"))
    dead.close()
    (runtime / "notes.sock").touch()
    assert paths.instances() == [paths.Instance(10, runtime / "10.sock")]
    second = paths.listen(12)
    assert sorted(os.listdir(runtime)) == ["10.sock", "12.sock", "notes.sock"]
    paths.close(alive)
    paths.close(second)


def test_an_instance_elsewhere_is_meant_where_none_lives_here(runtime, short_path, monkeypatch):
    monkeypatch.setattr(paths, "_directories", lambda: [short_path / "root"])
    service = paths.listen(7)
    monkeypatch.setattr(paths, "_directories", lambda: [runtime, short_path / "root"])
    assert [instance.pid for instance in paths.instances()] == [7]

    own = paths.listen(8)
    assert own.path.parent == runtime
    assert [instance.pid for instance in paths.instances()] == [8]
    assert [instance.pid for instance in paths.all_instances()] == [7, 8]
    paths.close(service)
    paths.close(own)


def test_the_nearest_place_is_the_environments_then_the_users(runtime, monkeypatch):
    monkeypatch.setattr(paths, "_OF_ROOT", Path("/run/fairlead"))
    for user, usual in {
        0: ["/run/fairlead", "/tmp/fairlead-0"],
        1000: ["/tmp/fairlead-1000", "/run/fairlead"],
    }.items():
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert [str(each) for each in paths._directories()] == [str(runtime), *usual]
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", "/only")
    assert paths._directories() == [Path("/only/fairlead")]


def test_nobody_is_alive_where_there_is_no_directory(secluded):
    assert paths.instances() == []


def test_a_dead_ones_place_is_taken_over(secluded):
    first = paths.listen(10)
    first.socket.close()
    second = paths.listen(10)
    assert [instance.pid for instance in paths.instances()] == [10]
    paths.close(second)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0"])
def test_admin_listens_on_loopback(listen):
    listening = paths.listen_admin(listen)
    assert listening.path is None
    paths.close(listening)


def test_admin_on_a_unix_socket_takes_a_dead_ones_place_only(short_path):
    name = f"unix:{short_path}/admin"
    first = paths.listen_admin(name)
    with pytest.raises(EngineError, match=r"admin: can't listen on unix:.*already in use"):
        paths.listen_admin(name)
    first.socket.close()
    paths.close(paths.listen_admin(name))
    (short_path / "admin").write_text("precious")
    with pytest.raises(EngineError):
        paths.listen_admin(name)
    assert (short_path / "admin").read_text() == "precious"


def test_a_taken_admin_port_is_an_error_with_a_hint():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EngineError, match="already in use") as caught:
            paths.listen_admin(listen)
    assert "ss -ltnp" in caught.value.hint
