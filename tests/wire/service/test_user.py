"""Started as root, running as somebody else."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.balancer import PROGRAM, Balancer, dial, run, wait_for
from harness.config import site
from harness.sources import ROOT

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give root up"),
]

# Nobody has to be able to read fairlead's code and Python's. Where they lie in root's own folder,
# they are seen in one that everybody may enter, in a namespace of the test's.
_OPEN = """
for place in "$1" "$2"; do case $place in /root/*) in_home=1;; esac; done
if [ "$in_home" ]; then
    mount -t tmpfs none /mnt && mkdir /mnt/home && mount --bind /root /mnt/home
    mount -t tmpfs -o mode=755 none /root
    for place in "$1" "$2"; do
        case $place in /root/*)
            mkdir -p "$place" && mount --bind "/mnt/home${place#/root}" "$place";;
        esac
    done
fi
shift 2 && exec "$@"
"""
INSIDE = ["unshare", "--mount", "sh", "-c", _OPEN, "sh", str(ROOT), sys.base_prefix]


@pytest.fixture
def low() -> str:
    """An address that only root may listen on."""
    for port in range(600, 1000):
        with socket.socket() as trying:
            try:
                trying.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{port}"
    raise AssertionError("all ports are taken")


@pytest.fixture
def place():
    """A folder that everybody may enter, with runtime and log folders in it."""
    folder = Path(tempfile.mkdtemp(prefix="fl-user-"))
    folder.chmod(0o755)
    (folder / "logs").mkdir()
    shutil.chown(folder / "logs", "nobody")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def started(fairlead, backend, place, low):
    """fairlead on a low port, becoming `nobody`; its control socket and its log are in `place`."""

    def start(more: str = "", listen: str = low, *, ready: bool = True) -> Balancer:
        log = f'[access_log]\nto = "{place}/logs/access"'
        config = place / "fairlead.toml"
        config.write_text(f'user = "nobody"\n{site(listen, backend(), more=log + more)}')
        balancer = fairlead(
            "run",
            str(config),
            inside=INSIDE,
            environment={"FAIRLEAD_RUNTIME_DIR": str(place)},
            ready=ready,
        )
        balancer.config, balancer.runtime = config, place
        return balancer

    return start


def test_it_serves_a_low_port_with_nothing_of_root_left(started, low) -> None:
    balancer = started()
    assert dial(low).get().status == 200
    uid = str(pwd.getpwnam("nobody").pw_uid)
    wait_for(lambda: balancer.listener()["requests_total"] == 1)

    tasks = list(Path(f"/proc/{balancer.process.pid}/task").iterdir())
    assert len(tasks) >= 3, "the main thread, workers, and whoever counts"
    for task in tasks:
        lines = dict(
            line.split(":\t", 1)
            for line in (task / "status").read_text().splitlines()
            if ":\t" in line
        )
        assert lines["Uid"].split() == [uid] * 4
        assert "0" not in lines["Gid"].split() + lines["Groups"].split()
        assert int(lines["CapEff"], 16) == int(lines["CapPrm"], 16) == 0


def test_roots_commands_find_it(started, place) -> None:
    balancer = started()
    environment = {**os.environ, "FAIRLEAD_RUNTIME_DIR": str(place)}
    done = run("status", "--json", env=environment)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pid"] == balancer.process.pid
    assert balancer.stop() == 0
    assert list((place / "fairlead").iterdir()) == []


def test_its_log_is_its_own_and_can_be_rotated(started, place, low) -> None:
    balancer = started()
    log = place / "logs" / "access"
    assert dial(low).get().status == 200
    wait_for(log.read_text)
    assert log.owner() == "nobody"
    log.rename(log.with_suffix(".1"))
    balancer.signal(signal.SIGHUP)
    wait_for(log.exists)
    assert dial(low).get().status == 200

    assert wait_for(lambda: log.read_text().count("\n") == 1)
    assert log.owner() == "nobody"


def test_a_reload_keeps_what_it_has_and_can_not_take_another_low_port(started, low) -> None:
    balancer = started()
    other = f"127.0.0.1:{int(low.rpartition(':')[2]) - 10}"
    text = balancer.config.read_text()
    code, answer = balancer.reload(text.replace(f'bind = "{low}"', f'bind = ["{low}", "{other}"]'))

    assert (code, answer["code"]) == (409, "bind"), answer
    assert "permission denied" in answer["detail"]
    assert "has given root up" in answer["hint"]
    code, answer = balancer.reload(text.replace("[pools.app]", "[pools.app]\nslow_start = '1s'"))
    assert (code, answer["changed"]) == (200, True), answer
    assert dial(low).get().status == 200
    code, answer = balancer.reload(text.replace('"nobody"', '"daemon"'))
    assert "user: who fairlead runs as is decided at its start, and stays so" in answer["steps"]


@pytest.mark.parametrize(
    ("user", "problem"),
    [("no-such-user", "no user `no-such-user`"), ("nobody:no-such-group", "no group")],
)
def test_somebody_who_does_not_exist_is_an_error_of_the_start(
    fairlead, backend, low, user: str, problem: str
) -> None:
    balancer = fairlead(config=f'user = "{user}"\n{site(low, backend())}', ready=False)

    assert balancer.wait() == 2
    assert problem in "\n".join(balancer.output)


def test_a_log_that_it_could_not_open_again_is_an_error_of_the_start(started, place) -> None:
    log = place / "logs" / "access"
    log.write_text("somebody's\n")
    log.chmod(0o600)
    balancer = started(ready=False)

    assert balancer.wait() == 2
    assert f"access log `{log}`: `nobody` may not write to it" in "\n".join(balancer.output)
    assert log.read_text() == "somebody's\n"


def test_a_user_that_can_not_read_fairlead_itself_is_an_error_of_the_start(
    fairlead, backend, place, low
) -> None:
    """An installation in root's own folder: what is imported later would be missing."""
    hidden = place / "hidden"
    hidden.mkdir(mode=0o700)
    mounts = 'mount --bind "$1/python/fairlead" "$2" && shift 2 && PYTHONPATH=$PLACE exec "$@"'
    (hidden / "fairlead").mkdir()
    inside = [*INSIDE, "sh", "-c", mounts, "sh", str(ROOT), str(hidden / "fairlead")]
    balancer = fairlead(
        config=f'user = "nobody"\n{site(low, backend())}',
        inside=inside,
        environment={"PLACE": str(hidden)},
        ready=False,
    )

    assert balancer.wait() == 2
    said = "\n".join(balancer.output)
    assert f"`nobody` may not read {hidden}/fairlead, which is fairlead itself" in said, said


def test_who_is_not_root_can_not_become_another(backend, place, low) -> None:
    config = place / "fairlead.toml"
    config.write_text(f'user = "daemon"\n{site("127.0.0.1:0", backend())}')
    inside = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    done = subprocess.run(
        [*INSIDE, *inside, str(PROGRAM), "run", str(config)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 2
    assert "user: only root can become `daemon`" in done.stderr
