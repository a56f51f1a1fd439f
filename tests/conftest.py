"""Fixtures of the tests that look at a running fairlead from outside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import lab as labs
from harness import uring
from harness.backend import Backend, Play, saying
from harness.balancer import Balancer, loopback

# A shell that starts this in the background has it ignore Ctrl-C, and so would every program under
# test. A handler (any) isn't inherited by them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With ``TEST_IO=uring`` nothing is tested where the kernel forbids it."""
    if uring.is_wanted() and (why := uring.missing()):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"every call was to be made through it: {why}"))


@pytest.fixture
def fairlead() -> Iterator[Callable[..., Balancer]]:
    """Starts fairlead: ``fairlead("http", listen, backend, ...)`` or ``fairlead(config="...")``.

    Returns once it is ready; ``ready=False`` returns at once. Ended after the test, and then looked
    at: a traceback or a panic on standard error fails the test.
    """
    started: list[Balancer] = []

    def start(*arguments: str, **more: Any) -> Balancer:
        balancer = Balancer.__new__(Balancer)
        started.append(balancer)
        balancer.__init__(*arguments, **more)  # type: ignore[misc]
        return balancer

    yield start
    failures = []
    for balancer in started:
        try:
            if hasattr(balancer, "process"):
                balancer.close()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture
def backend() -> Iterator[Callable[..., Backend]]:
    """Makes backends: ``backend(play)``; without a play, one that says ``hello``."""
    made: list[Backend] = []

    def make(play: Play | None = None, listener: Any = None) -> Backend:
        new = Backend(play or saying("hello"), listener)
        made.append(new)
        return new

    yield make
    failures = []
    for old in made:
        try:
            old.close()
        except BaseException as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture
def http(fairlead: Callable[..., Balancer]) -> Callable[..., Balancer]:
    """``fairlead http`` before these backends, without checks unless asked for."""

    def start(*words: Backend | str, **more: Any) -> Balancer:
        arguments = [word.address if isinstance(word, Backend) else word for word in words]
        checks = [] if "--check" in arguments else ["--check", "none"]
        return fairlead("http", loopback(), *arguments, *checks, **more)

    return start


@pytest.fixture
def tcp(fairlead: Callable[..., Balancer]) -> Callable[..., Balancer]:
    """``fairlead tcp`` before these backends, without checks unless asked for."""

    def start(*words: Backend | str, **more: Any) -> Balancer:
        arguments = [word.address if isinstance(word, Backend) else word for word in words]
        checks = [] if "--check" in arguments else ["--check", "none"]
        return fairlead("tcp", loopback(), *arguments, *checks, **more)

    return start


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets (107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="fl-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


_NAMESPACES: list[str | None] = []


@pytest.fixture
def host() -> Iterator[Callable[[], labs.Host]]:
    """Makes hosts: network namespaces with an address of their own. Skips where it can't."""
    if not _NAMESPACES:
        _NAMESPACES.append(labs.missing())
    if _NAMESPACES[0]:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must be able to run this: {_NAMESPACES[0]}")
        pytest.skip(_NAMESPACES[0])
    made: list[labs.Host] = []

    def make() -> labs.Host:
        new = labs.Host()
        made.append(new)
        return new

    yield make
    for old in made:
        old.close()


@pytest.fixture
def hosts(short_path):
    """A hosts file, and the command that makes fairlead see it: ``hosts.say("app.test", ...)``."""
    try_it = subprocess.run(
        ["unshare", "-m", "mount", "--bind", "/dev/null", "/etc/hosts"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if os.geteuid() or try_it.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must be able to run this: {try_it.stderr}")
        pytest.skip(f"needs a mount namespace: {try_it.stderr.strip() or 'not root'}")

    class Hosts:
        path = short_path / "hosts"
        inside = (
            "unshare", "-m", "--propagation", "private",
            "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(short_path / "hosts"),
        )  # fmt: skip

        def say(self, name: str, *addresses: str) -> None:
            lines = [f"{address} {name}\n" for address in addresses]
            # In place: the mount is of this file, not of its name.
            self.path.write_text("127.0.0.1 localhost\n" + "".join(lines))

    found = Hosts()
    found.say("app.test", "127.0.0.2")
    return found
