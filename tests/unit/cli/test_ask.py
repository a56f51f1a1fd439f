from __future__ import annotations

import socket
import threading

import pytest

from fairlead.cli import ask
from fairlead.cli.ask import Running, find
from fairlead.control import paths
from fairlead.errors import ControlError


def test_the_only_one_is_meant(instance):
    made = instance()

    assert find(None).path == made.path


def test_none_is_told_with_what_to_do():
    with pytest.raises(ControlError, match="no fairlead of yours is running") as caught:
        find(None)
    assert "fairlead run" in (caught.value.hint or "")


def test_several_are_listed(instance):
    instance(pid=5)
    instance(pid=77)

    with pytest.raises(ControlError) as caught:
        find(None)
    assert str(caught.value) == (
        "2 are running:\n  5  /etc/shop/fairlead.toml\n  77  /etc/shop/fairlead.toml"
    )
    assert caught.value.hint == "say which: `--instance 5`"


@pytest.mark.parametrize(
    "which", ["77", "/other/site.toml", "site.toml", "site", "{folder}/fairlead/77.sock"]
)
def test_one_of_several_can_be_named(instance, environment, which):
    instance(pid=5)
    instance({"GET /v1/status": (200, {"config": "/other/site.toml"})}, pid=77)

    assert find(which.format(folder=environment)).path.name == "77.sock"


def test_a_name_is_looked_for_here_first_and_then_everywhere(instance, short_path, monkeypatch):
    own, other = instance(pid=5), instance(pid=77)
    elsewhere = short_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    moved = other.path.rename(elsewhere / "77.sock")
    monkeypatch.setattr(paths, "_directories", lambda: [own.path.parent, elsewhere])

    assert find(None).path == own.path
    assert find("fairlead.toml").path == own.path
    assert find("77").path == moved


def test_a_name_that_fits_none_or_several(instance):
    instance(pid=5)
    instance(pid=77)

    with pytest.raises(ControlError, match="none is called `x`"):
        find("x")
    with pytest.raises(ControlError, match=r"several are called `fairlead\.toml`"):
        find("fairlead.toml")


def test_an_instance_that_does_not_answer_has_no_name(instance):
    instance({"GET /v1/status": (500, b"oops")}, pid=5)
    instance({"GET /v1/status": (200, b"oops")}, pid=6)

    with pytest.raises(ControlError, match=r"5  \?\n  6  \?"):
        find(None)


def test_questions_and_answers(instance):
    made = instance({"POST /v1/reload": lambda body: (200, {"got": body})})

    assert Running(made.path).ask("POST", "/v1/reload", {"a": [1]}).json == {"got": {"a": [1]}}
    assert made.asked == [("POST", "/v1/reload", {"a": [1]})]


def test_names_in_addresses_are_escaped(instance):
    made = instance(
        {"PATCH /v1/pools/a b/backends/unix:/run/x?y": lambda body: (200, {"state": body["state"]})}
    )

    assert Running(made.path).change("a b", "unix:/run/x?y", {"state": "x"}) == {"state": "x"}


def test_refusals_keep_their_words(instance):
    refusal = {"code": "x", "detail": "not so", "hint": "but so"}
    made = instance({"GET /a": (404, refusal), "GET /b": (500, b"?"), "GET /c": (400, {})})
    running = Running(made.path)

    with pytest.raises(ControlError, match="not so") as caught:
        running.ask("GET", "/a")
    assert caught.value.hint == "but so"
    for path, status in (("/b", 500), ("/c", 400)):
        with pytest.raises(ControlError, match=f"it answered with status {status}"):
            running.ask("GET", path)


STUCK = {"code": "python_stuck", "detail": "Python is stuck since noon", "hint": None}


def test_a_moment_without_python_is_waited_for(instance, monkeypatch):
    monkeypatch.setattr(ask, "_AGAIN_SECONDS", 0.01)
    answers = [(503, STUCK), (503, STUCK), (200, {"done": 1})]
    made = instance({"POST /v1/reload": lambda _: answers.pop(0)})

    assert Running(made.path).ask("POST", "/v1/reload").json == {"done": 1}


def test_python_that_is_stuck_for_longer_is_told(instance, monkeypatch):
    monkeypatch.setattr(ask, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(ask, "_STUCK_SECONDS", 0.05)
    made = instance({"POST /v1/reload": (503, STUCK), "GET /other": (503, {"detail": "no"})})

    with pytest.raises(ControlError, match="stuck since noon"):
        Running(made.path).ask("POST", "/v1/reload")
    assert len(made.asked) > 2
    del made.asked[:]
    with pytest.raises(ControlError, match="no"):
        Running(made.path).ask("GET", "/other")
    assert len(made.asked) == 1


def test_events_are_read_as_they_come(instance):
    stream = b': hello\n\nevent: health\ndata: {"id": 1}\n\ndata: {"id": 2}\n\n'
    made = instance({"GET /v1/events?after=7": (200, stream)})

    assert list(Running(made.path).events(7)) == ['{"id": 1}', '{"id": 2}']


def test_events_end_with_the_instance_that_said_so(environment):
    path = environment / "stopping.sock"
    event = b'data: {"id": 1, "event": "stopping"}\n\n'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def say() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                connection.sendall(head + b"%x\r\n%s\r\n" % (len(event), event))

        thread = threading.Thread(target=say)
        thread.start()
        assert list(Running(path).events(0)) == ['{"id": 1, "event": "stopping"}']
        thread.join()


def test_events_that_are_refused(instance):
    refusal = {"detail": "no events", "hint": None}
    made = instance({"GET /v1/events?after=0": (400, refusal)})

    with pytest.raises(ControlError, match="no events"):
        list(Running(made.path).events(0))


def test_nobody_there(environment):
    gone = Running(environment / "gone.sock")

    with pytest.raises(ControlError, match="no such file or directory"):
        gone.ask("GET", "/")
    with pytest.raises(ControlError, match="no answer"):
        list(gone.events(0))


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"\0\0\n\n"]
)
def test_an_answer_that_breaks_off(environment, said):
    path = environment / "half.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def say() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=say)
        thread.start()
        with pytest.raises(ControlError):
            Running(path).ask("GET", "/")
        thread.join()
