"""The access log: where its lines go, and what becomes of those that can't go anywhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.backend import saying
from harness.balancer import loopback, run, wait_for
from harness.config import site


@pytest.fixture
def path(tmp_path) -> Path:
    """Where the log goes."""
    return tmp_path / "access.log"


def paths(file: Path) -> list[str]:
    """The path of each request that stands in a log."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line)["path"] for line in text.splitlines(keepends=True) if line[-1] == "\n"]


def wait_for_paths(file: Path, *wanted: str) -> None:
    """Until a log has these requests, and no others."""
    wait_for(
        lambda: paths(file) == list(wanted), otherwise=lambda: f"{paths(file)}, wanted {wanted}"
    )


def storm(balancer, requests: int, size: int = 6000) -> float:
    """Many requests with long lines, all of which must be answered; the slowest's seconds."""
    slowest = 0.0
    with balancer.connect() as line:
        for number in range(requests):
            started = time.monotonic()
            assert line.get(f"/{number}/" + "x" * size).status == 200
            slowest = max(slowest, time.monotonic() - started)
    return slowest


def test_standard_output_gets_lines_and_nothing_else(http, backend) -> None:
    balancer = http(backend(), "--access-log", "-")

    with balancer.connect() as line:
        for number in range(10):
            line.get(f"/{number}")
    balancer.stop()

    lines = balancer.process.stdout.read().decode().splitlines()
    assert [json.loads(line)["path"] for line in lines] == [f"/{number}" for number in range(10)]
    assert not any(line.startswith("{") for line in balancer.output)


@pytest.mark.alone  # at once is measured
def test_a_line_comes_at_once(http, backend) -> None:
    balancer = http(backend(), "--access-log", "-")
    line = balancer.connect()

    for _ in range(5):
        time.sleep(0.1)
        line.get()
        started = time.monotonic()
        assert balancer.process.stdout.readline()
        assert time.monotonic() - started < 0.5


def test_a_file_is_appended_to_and_only_its_owner_and_group_read_it(http, backend, path) -> None:
    path.write_text('{"path": "/before"}\n')
    path.chmod(0o600)
    http(backend(), "--access-log", str(path)).connect().get("/after")
    wait_for_paths(path, "/before", "/after")

    new = path.with_name("new.log")
    http(backend(), "--access-log", str(new)).connect().get("/")
    assert stat.S_IMODE(new.stat().st_mode) & 0o137 == 0


def test_a_stop_writes_the_last_lines(http, backend, path) -> None:
    balancer = http(backend(), "--access-log", str(path))
    with balancer.connect() as line:
        for _ in range(500):
            line.get()

    balancer.stop()

    assert len(paths(path)) == 500


def test_hup_opens_the_file_anew(fairlead, backend, path) -> None:
    listen = loopback()
    balancer = fairlead(config=f'access_log = "{path}"\n' + site(listen, backend()))
    line = balancer.connect(listen)
    line.get("/old")
    wait_for_paths(path, "/old")
    moved = path.with_name("access.log.1")
    path.rename(moved)
    line.get("/still-old")
    wait_for_paths(moved, "/old", "/still-old")

    balancer.signal(signal.SIGHUP)
    wait_for(path.exists)
    line.get("/new")

    wait_for_paths(path, "/new")
    assert paths(moved) == ["/old", "/still-old"]
    # A line is counted when it has been written.
    wait_for(lambda: balancer.status()["access_log"] == {"lines": 3, "lost": 0})


def test_the_file_is_opened_anew_even_if_the_configuration_is_wrong(
    fairlead, backend, path
) -> None:
    listen = loopback()
    balancer = fairlead(config=f'access_log = "{path}"\n' + site(listen, backend()))
    path.rename(path.with_name("access.log.1"))

    code, _ = balancer.reload("nonsense = 1")

    assert code == 422
    wait_for(path.exists)
    balancer.connect(listen).get("/new")
    wait_for_paths(path, "/new")


def test_a_file_that_cannot_be_opened_anew_stays_in_use(fairlead, backend, tmp_path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "access.log"
    listen = loopback()
    balancer = fairlead(config=f'access_log = "{path}"\n' + site(listen, backend()))
    gone = folder.rename(tmp_path / "gone")

    balancer.signal(signal.SIGHUP)

    balancer.wait_for_output("can't be opened again: no such directory")
    balancer.connect(listen).get("/on")
    wait_for_paths(gone / "access.log", "/on")


def test_a_reload_moves_the_log(fairlead, backend, path) -> None:
    listen, one = loopback(), backend()
    other = path.with_name("other.log")
    balancer = fairlead(config=site(listen, one))
    line = balancer.connect(listen)
    for number, log in enumerate(("", path, other, path, "")):
        top = f'access_log = "{log}"\n' if log else ""
        assert balancer.reload(top + site(listen, one))[0] == 200
        line.get(f"/{number}")

    wait_for_paths(path, "/1", "/3")
    wait_for_paths(other, "/2")
    assert balancer.status()["access_log"] is None
    assert str(path) not in _open_files(balancer.process.pid)


def _open_files(pid: int) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        # It may be closed between two looks.
        with contextlib.suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return found


def test_a_log_that_cannot_be_opened_stops_a_start_and_a_reload(fairlead, backend, path) -> None:
    missing = path.parent / "missing" / "access.log"
    done = run("http", loopback(), "127.0.0.1:1", "--access-log", str(missing))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"access log `{missing}`: no such directory" in done.stderr

    listen, one = loopback(), backend()
    balancer = fairlead(config=f'access_log = "{path}"\n' + site(listen, one))
    code, answer = balancer.reload(f'access_log = "{missing}"\n' + site(listen, one))
    assert code == 409, answer
    assert str(missing) in answer["detail"]
    balancer.connect(listen).get("/on")
    wait_for_paths(path, "/on")


def test_a_full_disk_costs_lines_and_no_request(http, backend) -> None:
    balancer = http(backend(), "--access-log", "/dev/full")

    began = time.monotonic()
    storm(balancer, 300, size=10)

    wait_for(lambda: balancer.status()["access_log"] == {"lines": 0, "lost": 300})
    events = [event for event in balancer.events() if event["event"] == "access_log"]
    assert events
    assert all("no space left on device" in event["why"] for event in events)
    code, text = balancer.text("/metrics")
    assert (code, 'fairlead_access_log_lines_total{result="lost"} 300\n' in text) == (200, True)
    assert len(events) <= 1 + time.monotonic() - began, "once a second at most"
    balancer.wait_for_output("`/dev/full`: no space left on device; lines lost: ")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A folder on a disk of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(f"CI must be able to run this: {done.stderr}")
        pytest.skip(f"can't mount a small disk here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def whole_lines(file: Path) -> list[str]:
    """The paths of a log's lines, without one that broke off in the middle."""
    found = []
    for line in file.read_text().splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line)["path"])
    return found


@pytest.mark.root
def test_a_disk_that_fills_up_costs_lines_and_no_request(http, backend, small_disk) -> None:
    """A real one: some lines fit, one breaks off, and when there is room again all goes on."""
    log = small_disk / "access.log"
    balancer = http(backend(), "--access-log", str(log))

    storm(balancer, 300, size=2000)

    stats = wait_for(
        lambda: sum((seen := balancer.status()["access_log"]).values()) == 300 and seen
    )
    assert stats["lost"] > 100, stats
    written = whole_lines(log)
    assert len(written) == stats["lines"]
    assert len(log.read_text().splitlines()) <= len(written) + 1, "one may have broken off"
    event = next(event for event in balancer.events() if event["event"] == "access_log")
    assert event["why"] == f"`{log}`: no space left on device"
    code, text = balancer.text("/metrics")
    assert (code, f'result="lost"}} {stats["lost"]}\n' in text) == (200, True)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(balancer.runtime)}
    shown = run("status", env=environment).stdout
    assert f"access log: {stats['lines']:,} lines written, {stats['lost']:,} lost" in shown

    # As `logrotate` does it: the old file goes, and HUP opens a new one.
    log.unlink()
    balancer.signal(signal.SIGHUP)
    wait_for(log.exists)
    with balancer.connect() as line:
        assert line.get("/room").status == 200
    wait_for_paths(log, "/room")
    assert balancer.status()["access_log"]["lost"] == stats["lost"]


def test_a_fifo_that_nobody_reads_costs_lines_and_no_request(http, backend, path) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        balancer = http(backend(), "--access-log", str(path), "--workers", "1")

        assert storm(balancer, 1500) < 1

        def is_told() -> bool:
            lost = balancer.status()["access_log"]["lost"]
            # Lines that wait for the reader are given up one after the other.
            return lost > 0 and f'result="lost"}} {lost}\n' in balancer.text("/metrics")[1]

        balancer.wait_for_output(f"`{path}`: its reader takes no more; lines lost: ")
        wait_for(is_told)
        # A file in its place, and HUP: lines go there, though the old reader is as stuck as ever.
        path.unlink()
        balancer.signal(signal.SIGHUP)
        wait_for(lambda: sum(balancer.status()["access_log"].values()) == 1500)
        with balancer.connect() as line:
            assert line.get("/on").status == 200
        wait_for(lambda: whole_lines(path)[-1:] == ["/on"])
        stats = balancer.status()["access_log"]
        assert sum(stats.values()) == 1501
        started = time.monotonic()
        assert balancer.stop() == 0
        assert time.monotonic() - started < 5
    finally:
        os.close(reader)


def test_a_reader_that_is_stuck_costs_lines_and_no_request(http, backend) -> None:
    """Standard output is a pipe that nobody reads here."""
    balancer = http(backend(saying("hello")), "--access-log", "-", "--workers", "1")

    slowest = storm(balancer, 1500)

    assert slowest < 1
    lost = balancer.status()["access_log"]["lost"]
    assert lost > 0
    event = next(event for event in balancer.events() if event["event"] == "access_log")
    assert event["why"] == "`-`: its reader takes no more"
    assert balancer.resident_bytes() < 100 * 1024 * 1024

    # When it reads again, lines that waited come, then new ones; none in pieces.
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.extend(balancer.process.stdout))
    reader.start()
    wait_for(lambda: sum(balancer.status()["access_log"].values()) == 1500)
    balancer.connect().get("/again")
    wait_for(lambda: read and json.loads(read[-1])["path"] == "/again")
    assert all(json.loads(line) for line in read)
    stats = balancer.status()["access_log"]
    assert stats == {"lines": len(read), "lost": 1501 - len(read)}
    balancer.stop()
    reader.join(5)


def test_a_stuck_reader_does_not_hold_up_a_stop(http, backend) -> None:
    balancer = http(backend(), "--access-log", "-")
    storm(balancer, 100)

    started = time.monotonic()

    assert balancer.stop() == 0
    assert time.monotonic() - started < 5


def test_a_reader_that_is_gone_costs_lines_and_no_request(http, backend) -> None:
    balancer = http(backend(), "--access-log", "-")
    balancer.process.stdout.close()

    storm(balancer, 100, size=10)

    wait_for(lambda: balancer.status()["access_log"] == {"lines": 0, "lost": 100})
    balancer.wait_for_output("`-`: its reader is gone")
    assert balancer.stop() == 0


def test_the_option_becomes_a_key_of_the_file(tmp_path) -> None:
    done = run("tcp", ":5432", "db:5432", "--access-log", "-", "--print-config", cwd=tmp_path)

    assert done.returncode == 0
    assert done.stdout.startswith('access_log = "-"\n')
