"""Giving root up: what ``user`` in a configuration does, once everything is bound.

A start as root has a purpose: ports below 1024, and files in root's folders. All of that is done
before; what is needed later (the control socket's directory, the access log, which is opened anew
when it is rotated) is made over to the user first. After it nothing leads back: user, groups and
capabilities are gone for the whole process, worker threads included.

Not here: when (`run`).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fairlead.control import paths
from fairlead.errors import EngineError

if TYPE_CHECKING:
    from fairlead.config.loaded import LoadedConfig

_NEW_FILE = 0o644


class User(NamedTuple):
    """Whom this process becomes.

    Attributes:
        name: The user's name; for messages.
        uid: Number of the user.
        gid: Number of the group.
        home: The user's folder.
    """

    name: str
    uid: int
    gid: int
    home: str


def find(wanted: str) -> User:
    """Look up a user.

    Args:
        wanted: ``name`` or ``name:group``.

    Raises:
        EngineError: There is none, or this process can't become it.
    """
    import grp
    import pwd

    name, colon, group = wanted.partition(":")
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        hint = f"make one: `useradd --system --no-create-home {name}`"
        raise EngineError(f"user: there is no user `{name}` on this machine", hint) from None
    try:
        gid = grp.getgrnam(group).gr_gid if colon else entry.pw_gid
    except KeyError:
        raise EngineError(f"user: there is no group `{group}` on this machine", None) from None
    if os.geteuid() not in (0, entry.pw_uid):
        problem = f"user: only root can become `{name}`"
        raise EngineError(problem, "start fairlead as root, or leave `user` out") from None
    return User(name, entry.pw_uid, gid, entry.pw_dir)


def prepare(user: User, first: LoadedConfig) -> None:
    """Make over to the user what it needs later. As root, before the engine opens anything."""
    if os.geteuid() != 0:
        return
    log = first.config.access_log
    if log is not None and log.to != "-":
        _make_file(Path(log.to), user)
    # Without a place there is no control socket, which its binding tells; traffic needs none.
    with contextlib.suppress(OSError):
        paths.make_over(user.uid, user.gid)


def drop(user: User) -> None:
    """Become the user, for good.

    Raises:
        EngineError: The system doesn't let it.
    """
    if os.geteuid() != 0:
        return
    try:
        os.initgroups(user.name, user.gid)
        os.setgid(user.gid)
        os.setuid(user.uid)
    except OSError as error:
        problem = f"user: can't become `{user.name}`: {(error.strerror or str(error)).lower()}"
        raise EngineError(problem, "this takes CAP_SETUID and CAP_SETGID") from None
    if user.uid != 0 and 0 in (*os.getresuid(), *os.getresgid()):
        raise EngineError(f"user: becoming `{user.name}` left a way back to root", None)
    # What belonged to root's login is nobody's now; checks by command are to see who they are.
    os.environ.pop("XDG_RUNTIME_DIR", None)
    os.environ.update(HOME=user.home, USER=user.name, LOGNAME=user.name)


def check_files(user: User, first: LoadedConfig) -> list[str]:
    """What the user can't do that it will have to, a line each. To be called as that user.

    Raises:
        EngineError: It can't read fairlead's own code, much of which is imported when it is needed; or
            it could not open the access log anew after it was rotated.
    """
    for module, what in ((__file__, "fairlead itself"), (os.__file__, "Python's own library")):
        where = Path(module).resolve().parents[1 if module == __file__ else 0]
        if not os.access(where, os.R_OK | os.X_OK):
            problem = f"user: `{user.name}` may not read {where}, which is {what}"
            raise EngineError(problem, "install it where everybody may read, such as /opt")
    log = first.config.access_log
    if log is not None and log.to != "-" and not os.access(log.to, os.W_OK):
        problem = f"access log `{log.to}`: `{user.name}` may not write to it"
        raise EngineError(problem, f"`chown {user.name} {log.to}`")
    token = first.config.admin.token_file if first.config.admin else None
    return [
        f"`{user.name}` may not read {file}: reloads will fail"
        for file in (first.source, token)
        if file and _exists(Path(file)) and not os.access(file, os.R_OK)
    ]


def _exists(path: Path) -> bool:
    """Whether there is such a file, or one that this user can't see. A command line is none."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def _make_file(path: Path, user: User) -> None:
    """Make an empty file for the user. One that exists stays whose it is."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    # Whatever is wrong with it, the engine says when it opens it.
    with contextlib.suppress(OSError):
        number = os.open(path, flags, _NEW_FILE)
        try:
            os.fchown(number, user.uid, user.gid)
        finally:
            os.close(number)
