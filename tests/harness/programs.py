"""Real programs behind and before fairlead: found, started, awaited, ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.backend import free_port


def find(program: str, package: str) -> str:
    """The program's path; skips the test with the reason if it is missing."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"needs {program} (Debian: {package})")
    return path


def wait_for_port(port: int, process: subprocess.Popen[bytes], patience: float = 20.0) -> None:
    """Until something accepts there."""
    end = time.monotonic() + patience
    while True:
        if process.poll() is not None:
            raise AssertionError(f"{process.args!r} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, f"{process.args!r} does not accept on {port}"
            time.sleep(0.02)
        else:
            return


@contextlib.contextmanager
def running(command: list[str], port: int, folder: Path, **more: object) -> Iterator[None]:
    """A program that listens on ``port`` while the block runs."""
    log = folder / f"{Path(command[0]).name}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
            **more,  # type: ignore[call-overload]
        )
        try:
            wait_for_port(port, process)
            yield
        except AssertionError as failure:
            failure.add_note(log.read_text(errors="replace")[-2000:])
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)


@contextlib.contextmanager
def uvicorn(folder: Path, application: str) -> Iterator[str]:
    """uvicorn with an ASGI application (``module:attribute``, the module in ``folder``)."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port)]
    with running([*command, "--log-level", "warning"], port, folder):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def gunicorn(folder: Path, application: str) -> Iterator[str]:
    """gunicorn with a WSGI application."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-w", "1"]
    command += ["--threads", "4", "--no-control-socket", application]
    with running(command, port, folder):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """nginx that serves the files in ``folder/files``."""
    port = free_port()
    (folder / "files").mkdir(exist_ok=True)
    place = f"""server {{
        listen 127.0.0.1:{port}; root {folder}/files;
        location = /whoami {{ return 200 "nginx\\n"; }}
    }}"""
    with nginx_of(folder, port, place) as address:
        yield address


@contextlib.contextmanager
def nginx_of(folder: Path, port: int, place: str) -> Iterator[str]:
    """nginx with what stands inside ``http``, once it listens on ``port``."""
    block = f"""http {{
        access_log off; client_max_body_size 0;
        client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
        fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
        scgi_temp_path {folder}/scgi;
        {place}
    }}"""
    with _nginx_with(folder, port, block) as address:
        yield address


@contextlib.contextmanager
def nginx_stream(folder: Path, port: int, place: str) -> Iterator[str]:
    """nginx with what stands inside ``stream``, which Debian has in a package of its own."""
    built = subprocess.run([find("nginx", "nginx-light"), "-V"], capture_output=True, check=False)
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    load = f"load_module {module};" if b"--with-stream=dynamic" in built.stderr else ""
    if load and not module.exists():
        pytest.skip("needs nginx's stream module (Debian: libnginx-mod-stream)")
    with _nginx_with(folder, port, f"stream {{ {place} }}", load) as address:
        yield address


@contextlib.contextmanager
def _nginx_with(folder: Path, port: int, block: str, first: str = "") -> Iterator[str]:
    program = find("nginx", "nginx-light")
    user = "user root;" if os.geteuid() == 0 else ""
    config = f"""
    {first}
    daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr; {user}
    worker_rlimit_nofile 8192;
    events {{ worker_connections 4096; }}
    {block}
    """
    (folder / "nginx.conf").write_text(config)
    with running([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)], port, folder):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis that keeps nothing."""
    program = find("redis-server", "redis-server")
    port = free_port()
    command = [
        program,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    with running(command, port, folder):
        yield f"127.0.0.1:{port}"


def _postgresql(program: str) -> str:
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    if places:
        return str(places[-1])
    return find(program, "postgresql")


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL cluster of its own, user ``postgres``, no password. It refuses to run as root."""
    initdb, postgres = _postgresql("initdb"), _postgresql("postgres")
    as_user: dict[str, object] = {}
    data = folder / "data"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, "postgres")
        # The folders above a test's own belong to root alone.
        for above in [folder, *folder.parents]:
            if above != Path("/") and above != Path("/tmp"):
                above.chmod(above.stat().st_mode | 0o011)
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    subprocess.run(
        [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/",
        **as_user,  # type: ignore[call-overload]
    )
    port = free_port()
    command = [postgres, "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    command += ["-c", f"unix_socket_directories={data}", "-c", "fsync=off"]
    with running(command, port, folder, **as_user):
        yield f"127.0.0.1:{port}"


def _haproxy() -> tuple[list[str], Path]:
    """How to start HAProxy, and where it reads files: here, or inside ``$PEER_HOME/sid``."""
    tree = Path(os.environ.get("PEER_HOME", "/nowhere")) / "sid"
    if shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        return [find("haproxy", "haproxy")], Path("/")
    if os.geteuid() == 0 and (tree / "usr/sbin/haproxy").exists():
        return ["chroot", str(tree), "/usr/sbin/haproxy"], tree
    return [find("haproxy", "haproxy")], Path("/")


@contextlib.contextmanager
def haproxy(folder: Path, port: int, config: str) -> Iterator[str]:
    """HAProxy with this configuration, once it listens on ``port``."""
    command, root = _haproxy()
    text = (
        "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
        + config
    )
    with tempfile.NamedTemporaryFile("w", dir=root / "tmp", suffix=".cfg") as file:
        file.write(text)
        file.flush()
        seen = "/" + str(Path(file.name).relative_to(root))
        with running([*command, "-db", "-f", seen], port, folder):
            yield f"127.0.0.1:{port}"
