"""Rivals that aren't here are set up where that works; who isn't there then is named, with a reason."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.benches import bench
from harness.sources import ROOT

gather = bench("gather")
SCRIPT = ROOT / "bench/setup_peers.sh"


class Rival:
    """A peer that is here once its file is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def available(self) -> bool:
        return self.path.exists()


@pytest.fixture
def rivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Rival]:
    monkeypatch.setattr(gather.os, "geteuid", lambda: 0)
    return {name: Rival(tmp_path / name) for name in ("haproxy", "pen", "envoy")}


def script(folder: Path, *lines: str) -> Path:
    path = folder / "setup.sh"
    path.write_text("\n".join(["#!/bin/sh", f"cd {folder}", *lines, ""]))
    path.chmod(0o755)
    return path


def run(rivals: dict[str, Rival], path: Path, *, allowed: bool = True) -> tuple[dict, list[str]]:
    said: list[str] = []
    return gather.gather(rivals, allowed, path, said.append), said


def test_where_all_are_here_nothing_is_run(rivals, tmp_path) -> None:
    for rival in rivals.values():
        rival.path.touch()

    assert run(rivals, script(tmp_path, "touch ran")) == ({}, [])
    assert not (tmp_path / "ran").exists()


def test_only_those_who_are_missing_are_set_up(rivals, tmp_path) -> None:
    rivals["haproxy"].path.touch()
    absent, said = run(rivals, script(tmp_path, 'touch "$@"', 'echo "setup: $*"'))

    assert absent == {}
    assert said == [
        "setting up pen, envoy: some minutes the first time (--no-setup goes on without)",
        "setup: pen envoy",
    ]


def test_one_who_can_not_be_had_is_named_with_the_reason_and_the_others_come(
    rivals, tmp_path
) -> None:
    path = script(tmp_path, "touch haproxy pen", "echo 'missing: envoy: pip failed (no network)'")
    absent, said = run(rivals, Path(path))

    assert absent == {"envoy": "pip failed (no network)"}
    assert said[-1] == "left out: envoy: pip failed (no network)"


def test_a_script_that_fails_without_a_word_fails_nobody(rivals, tmp_path) -> None:
    absent, _ = run(rivals, script(tmp_path, "exit 1"))

    assert set(absent) == set(rivals)
    assert all("was not there after setup.sh" in why for why in absent.values())


def test_a_script_that_is_not_there_fails_nobody(rivals, tmp_path) -> None:
    absent, _ = run(rivals, tmp_path / "nothing")

    assert absent["pen"] == "nothing: No such file or directory"


def test_without_leave_nothing_is_set_up_and_all_who_are_missing_are_named(
    rivals, tmp_path
) -> None:
    absent, said = run(rivals, script(tmp_path, "touch ran"), allowed=False)

    assert not (tmp_path / "ran").exists()
    assert [line.partition(": it isn't set up")[0] for line in said] == [
        "left out: haproxy", "left out: pen", "left out: envoy",
    ]  # fmt: skip
    assert set(absent) == set(rivals)


def test_only_root_sets_up(rivals, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gather.os, "geteuid", lambda: 1000)
    absent, _ = run(rivals, script(tmp_path, "touch ran"))

    assert not (tmp_path / "ran").exists()
    assert absent["pen"] == "only root can set it up"


# ---------------------------------------------------------------------------- setup_peers.sh itself
def set_up(home: Path, stubs: dict[str, str], *names: str) -> subprocess.CompletedProcess[str]:
    """The script with these programs in front of the machine's own."""
    folder = home.parent / "programs"
    folder.mkdir(exist_ok=True)
    for name, body in stubs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        [str(SCRIPT), *names],
        env={**os.environ, "PEER_HOME": str(home), "PYTHON": "python-of-the-test",
             "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, timeout=25,
    )  # fmt: skip


NO_NETWORK = {
    "wget": "exit 4",
    "debootstrap": "touch $PEER_HOME/ran; exit 1",
    "python-of-the-test": "echo 'no matching distribution' >&2; exit 1",
    "apt-get": "touch $PEER_HOME/ran; exit 1",
    "chroot": "touch $PEER_HOME/ran; exit 1",
}


def test_without_a_network_everybody_is_missing_with_a_reason(tmp_path: Path) -> None:
    home = tmp_path / "peers"
    done = set_up(home, NO_NETWORK, "haproxy", "pen", "envoy")

    missing = [line for line in done.stdout.splitlines() if line.startswith("missing: ")]
    assert done.returncode == 1
    assert missing[0] == "missing: envoy: envoy failed (no matching distribution)"
    for name, line in zip(("haproxy", "pen"), missing[1:], strict=True):
        assert line.startswith(f"missing: {name}: a Debian unstable tree failed (")
    assert not (home / "ran").exists()
    assert not (home / "sid").exists()


def test_those_who_are_there_are_not_touched(tmp_path: Path) -> None:
    home = tmp_path / "peers"
    for path in ("sid/usr/sbin/haproxy", "sid/usr/bin/pen", "envoy/envoy/_bin/envoy"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).touch()
        (home / path).chmod(0o755)
    done = set_up(home, NO_NETWORK, "haproxy", "pen", "envoy")

    assert (done.returncode, done.stdout) == (0, "")
    assert not (home / "ran").exists()


def test_one_package_that_is_not_to_be_had_does_not_keep_the_others_away(tmp_path: Path) -> None:
    home = tmp_path / "peers"
    (home / "sid/usr/bin").mkdir(parents=True)
    (home / "sid/usr/bin/apt-get").touch()
    (home / "sid/usr/bin/apt-get").chmod(0o755)
    inside = 'case "$*" in *caddy*) echo "E: no such package"; exit 100;; *pen*) touch $1/usr/bin/pen;; esac'
    done = set_up(home, {**NO_NETWORK, "chroot": inside}, "caddy", "pen")

    assert done.returncode == 1
    assert "missing: caddy: caddy failed (E: no such package)" in done.stdout
    assert "setup: pen: ok" in done.stdout
    assert (home / "sid/usr/bin/pen").exists()


def test_a_name_that_no_package_has_is_refused(tmp_path: Path) -> None:
    done = set_up(tmp_path / "peers", NO_NETWORK, "traefik")

    assert done.stdout == "missing: traefik: no package here has it\n"
    assert done.returncode == 1
