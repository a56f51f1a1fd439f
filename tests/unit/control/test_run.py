"""The start: its order, and what ends it before it began."""

import os
import resource
import signal

import pytest

from fairlead.config.schema import Admin
from fairlead.control import paths
from fairlead.control import run as module


@pytest.fixture(autouse=True)
def _surroundings(engine, short_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    monkeypatch.setattr(module, "start_engine", lambda *_: engine)
    before = {number: signal.getsignal(number) for number in module.CAUGHT}
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    for number, handler in before.items():
        signal.signal(number, handler)


def serve(first):
    """Serve until `ready` is said, or `stopping` if that never comes; exit code and lines."""
    said = []

    def tell(line):
        said.append(line)
        if line == "ready":
            os.kill(os.getpid(), signal.SIGTERM)

    return module.serve(first, lambda: first, tell=tell), said


def test_it_starts_says_where_it_listens_and_stops(engine, loaded, short_path):
    code, said = serve(loaded("10.0.0.1:80"))
    assert code == 0
    assert said[:2] == ["listening on 127.0.0.1:8080 (web)", "ready"]
    assert said[-1] == "stopped"
    assert engine.accepting
    assert os.listdir(short_path / "fairlead") == []


def test_with_command_checks_too(loaded):
    code, said = serve(loaded("10.0.0.1:80", check="command", command="exit 0"))
    assert (code, said[-1]) == (0, "stopped")


def test_a_port_in_use_is_exit_code_2_and_named(engine, loaded):
    engine.busy = {"127.0.0.1:8080"}
    code, said = serve(loaded("10.0.0.1:80"))
    assert code == 2
    assert said[0] == "listener `web` can't listen on 127.0.0.1:8080: address already in use"
    assert said[1].startswith("hint: ")
    assert not engine.accepting


def test_a_taken_admin_address_is_exit_code_2(engine, loaded, short_path):
    taken = paths.listen_admin(f"unix:{short_path}/a")
    code, said = serve(loaded("10.0.0.1:80", admin=Admin(listen=f"unix:{short_path}/a")))
    paths.close(taken)
    assert code == 2
    assert said[0].startswith("admin: can't listen on unix:")
    assert engine.stopped == [0]


def test_without_a_control_socket_it_still_serves(loaded, short_path):
    (short_path / "fairlead").write_text("in the way")
    code, said = serve(loaded("10.0.0.1:80"))
    assert code == 0
    assert said[0].startswith("no control socket: ")


def test_many_listeners_are_not_all_told(engine, loaded):
    engine.addresses = lambda: [("web", f"127.0.0.1:{port}") for port in range(1000)]
    _, said = serve(loaded("10.0.0.1:80"))
    assert said[10] == "listening on 990 more addresses"


def test_without_files_the_control_plane_waits_and_traffic_does_not(engine, loaded, monkeypatch):
    shortage = [True, True, True, False]
    monkeypatch.setattr(module, "_short_of_files", lambda: shortage.pop(0))
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    said = []

    def tell(line):
        said.append(line)
        if line.startswith("pool app"):
            os.kill(os.getpid(), signal.SIGTERM)

    engine.emit(event="health", pool="app", backend="a:1", why="", **{"from": "a", "to": "b"})
    first = loaded("10.0.0.1:80")
    assert module.serve(first, lambda: first, tell=tell) == 0
    assert sum("out of file descriptors" in line for line in said) == 1
    assert said[-1] == "stopped"


def test_a_stop_while_it_waits_is_a_stop(engine, loaded, monkeypatch):
    monkeypatch.setattr(module, "_short_of_files", lambda: True)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    first = loaded("10.0.0.1:80")

    def tell(line):
        if line.startswith("out of file descriptors"):
            os.kill(os.getpid(), signal.SIGTERM)

    assert module.serve(first, lambda: first, tell=tell) == 0
    assert engine.stopped == [30.0]


def test_where_files_are_few_clients_wait_for_the_control_plane(loaded, monkeypatch):
    assert not module.needs_loop_first(loaded("10.0.0.1:80"))
    assert module.needs_loop_first(loaded("10.0.0.1:80", check="command", command="true"))
    assert module.needs_loop_first(loaded("10.0.0.1:80", policy="mine:Mine"))
    monkeypatch.setattr(module, "_FILES_PLENTY", 1 << 40)
    assert module.needs_loop_first(loaded("10.0.0.1:80"))
    code, said = serve(loaded("10.0.0.1:80"))
    assert (code, said[-1]) == (0, "stopped")


def test_a_control_plane_that_fails_leaves_the_traffic_alone(engine, loaded, monkeypatch):
    def fail():
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(engine, "event_fd", fail)
    said = []

    def tell(line):
        said.append(line)
        if line.startswith("hint: this is a bug"):
            assert engine.stopped == []
            os.kill(os.getpid(), signal.SIGTERM)

    first = loaded("10.0.0.1:80")
    assert module.serve(first, lambda: first, tell=tell) == 1
    assert "traffic goes on without it: ZeroDivisionError" in said[-2]
    assert engine.stopped == [30.0]
    monkeypatch.undo()


def test_being_short_of_files_is_noticed():
    assert not module._short_of_files()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    assert module._short_of_files()
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def test_the_file_limit_is_raised():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    module.raise_file_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
