"""What several folders of wire tests need."""

from __future__ import annotations

import os
import subprocess

import pytest


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
