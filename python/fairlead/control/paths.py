"""Where control sockets live, and who is alive there.

A socket that can be seen always has somebody listening: it is bound under another name and
renamed when it listens. So a connect that is refused means that its owner is dead, whatever a
process of that number does now, and the file may go.

Not here: what is spoken on the socket.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from typing import NamedTuple

from fairlead.control.apply import hint_for
from fairlead.errors import EngineError

_ASK_SECONDS = 1.0
_QUEUE = 512
_OF_ROOT = Path("/run/fairlead")


class UnsafeDirectoryError(OSError):
    """The directory for control sockets can't be trusted or made."""


class Listening(NamedTuple):
    """A socket that listens, and the file to remove at its end if it is a Unix socket."""

    socket: socket.socket
    path: Path | None


class Instance(NamedTuple):
    """A fairlead that runs."""

    pid: int
    path: Path


def directory() -> Path:
    """Where this process' control socket goes; made by `listen` if missing."""
    return _directories()[0]


def _directories() -> list[Path]:
    """Where instances may be that this user can ask, this environment's own place first.

    A service has no ``XDG_RUNTIME_DIR`` and a login shell has, so there are others. With
    ``FAIRLEAD_RUNTIME_DIR`` there is none beside it: for tests, and for whoever runs several
    that must not see each other.
    """
    alone = os.environ.get("FAIRLEAD_RUNTIME_DIR")
    if alone:
        return [Path(alone) / "fairlead"]
    # What systemd has made for a service (`RuntimeDirectory=`), which has no other place of its own.
    of_service = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if of_service:
        return [Path(of_service), _OF_ROOT]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [Path(runtime) / "fairlead", *_usual()] if runtime else _usual()


def _usual() -> list[Path]:
    """Where they are if the environment says nothing."""
    # With a fixed name in a folder that all may write to; `_prepare` refuses what isn't ours.
    of_user = Path(f"/tmp/fairlead-{os.geteuid()}")  # noqa: S108
    return [_OF_ROOT, of_user] if os.geteuid() == 0 else [of_user, _OF_ROOT]


def make_over(uid: int, gid: int) -> None:
    """Give another user the directory that its control sockets will be in. As root, at the start.

    One with somebody's sockets in it stays whose it is; the user has a folder of its own then.
    """
    alone = os.environ.get("FAIRLEAD_RUNTIME_DIR")
    where = directory() if alone or os.environ.get("RUNTIME_DIRECTORY") else _OF_ROOT
    with contextlib.suppress(FileExistsError):
        where.mkdir(mode=0o700)
    found = where.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid in (0, uid) and not _sockets(where):
        os.chown(where, uid, gid, follow_symlinks=False)
        if not alone:
            os.environ["RUNTIME_DIRECTORY"] = os.fspath(where)


def listen(pid: int | None = None) -> Listening:
    """Open this process' control socket, readable and writable for its user alone.

    Raises:
        OSError: The directory or the socket can't be made. `UnsafeDirectoryError` when the
            directory is somebody else's or open to others.
    """
    where = _own_place()
    _remove_dead(where)
    name = where / f"{pid or os.getpid()}.sock"
    return _listen_at(name)


def listen_named(name: str) -> Listening:
    """Open a socket of this name beside the control sockets, in the place of what was there.

    Raises:
        OSError: As for `listen`.
    """
    return _listen_at(_own_place() / name)


def listen_admin(listen: str) -> Listening:
    """Listen on the configured admin address.

    Args:
        listen: ``127.0.0.1:9100``, ``[::1]:9100``, ``localhost:9100``, ``:9100`` or
            ``unix:/path``. Whether strangers may reach it was checked with the configuration.

    Raises:
        EngineError: It can't be bound.
    """
    try:
        return _listen_admin(listen)
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
        message = f"admin: can't listen on {listen}: {problem}"
        raise EngineError(message, hint_for(problem)) from None


def _listen_admin(listen: str) -> Listening:
    if listen.startswith("unix:"):
        path = Path(listen.removeprefix("unix:"))
        if path.exists() and (not path.is_socket() or _is_alive(path)):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return _listen_at(path)
    name, _, port = listen.rpartition(":")
    address = (name.strip("[]"), int(port))
    both = not name and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in address[0] else socket.AF_INET
    listening = socket.create_server(address, family=family, backlog=_QUEUE, dualstack_ipv6=both)
    listening.settimeout(0)
    return Listening(listening, None)


def close(listening: Listening) -> None:
    """Stop listening, and remove the file if there is one."""
    listening.socket.close()
    if listening.path is not None:
        _remove(listening.path)


def _listen_at(path: Path) -> Listening:
    """Listen on a Unix socket of mode 0600 at `path`, in the place of what was there."""
    # Short, not ending as sockets do (nobody takes it for one), and this process' own: names that
    # begin alike may be opened at the same moment.
    unfinished = path.with_name(f".{path.stem[:12]}.{os.getpid()}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        unfinished.unlink(missing_ok=True)
        listening.bind(os.fspath(unfinished))
        unfinished.chmod(0o600)
        listening.listen(_QUEUE)
        unfinished.rename(path)
    except OSError:
        listening.close()
        unfinished.unlink(missing_ok=True)
        raise
    return Listening(listening, path)


def instances() -> list[Instance]:
    """The running instances that a command without a name may mean, by process id.

    Those in this environment's own directory; only where nobody lives there, those in others.
    """
    own, *others = _directories()
    return _alive_in([own]) or _alive_in(others)


def all_instances() -> list[Instance]:
    """Every running instance that this user can ask, by process id, wherever it was started."""
    return _alive_in(_directories())


def _alive_in(directories: list[Path]) -> list[Instance]:
    found = [
        Instance(int(path.stem), path)
        for where in directories
        if _is_trusted(where)
        for path in _sockets(where)
    ]
    return sorted(instance for instance in found if _is_alive(instance.path))


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _own_place() -> Path:
    """The first of the usual places that can be ours; a place that was asked for, or none.

    ``/run/fairlead`` may belong to the user of a service.
    """
    places = _directories()
    asked_for = places[0] not in _usual()
    problems: list[OSError] = []
    for where in places[:1] if asked_for else places:
        try:
            _prepare(where)
        except OSError as problem:
            problems.append(problem)
        else:
            return where
    raise problems[0]


def _prepare(where: Path) -> None:
    """Make the directory, or see that the one there is ours alone."""
    with contextlib.suppress(FileExistsError):
        where.mkdir(mode=0o700, parents=False)
    found = where.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeDirectoryError(f"{where} is not a directory")
    if found.st_uid != os.geteuid():
        raise UnsafeDirectoryError(f"{where} belongs to user {found.st_uid}")
    if stat.S_IMODE(found.st_mode) != 0o700:
        where.chmod(0o700)


def _remove_dead(where: Path) -> None:
    for path in _sockets(where):
        if not _is_alive(path):
            _remove(path)


def _is_trusted(where: Path) -> bool:
    """Whether only this user or root can have put something there.

    Root also trusts what it has made for the user that fairlead becomes, in places where nobody else
    can make anything: its own, and one that the environment names.
    """
    try:
        found = where.lstat()
        readable = os.access(where, os.R_OK | os.X_OK)
    except OSError:
        return False
    given = where == _OF_ROOT or "FAIRLEAD_RUNTIME_DIR" in os.environ
    known = found.st_uid in (0, os.geteuid()) or (os.geteuid() == 0 and given)
    return stat.S_ISDIR(found.st_mode) and known and readable


def _sockets(where: Path) -> list[Path]:
    return [path for path in where.glob("*.sock") if path.stem.isdigit()]


def _is_alive(path: Path) -> bool:
    """Whether somebody listens there. A full queue counts: somebody has to be slow in it."""
    asking = socket.socket(socket.AF_UNIX)
    asking.settimeout(_ASK_SECONDS)
    try:
        asking.connect(os.fspath(path))
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        return True
    finally:
        asking.close()
    return True
