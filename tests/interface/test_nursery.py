"""What the harness forks is a fairlead of its own, like one that a shell starts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from harness import nursery


def test_its_folder_environment_and_descriptors_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text("[listeners.web]\nbnd = 1\n")

    done = nursery.run("check", cwd=tmp_path, env={"FORCE_COLOR": "1"})

    assert (done.returncode, done.stdout) == (2, "")
    assert "bnd" in done.stderr
    assert "\033[" in done.stderr


def test_its_signals_and_its_end_are_its_own(http, backend) -> None:
    first, second = http(backend()), http(backend())
    assert isinstance(first.process, nursery.Child)
    held = {int(name) for name in os.listdir(f"/proc/{first.process.pid}/fd")}
    first.signal(signal.SIGINT)

    assert first.wait() == 0
    assert second.process.poll() is None
    assert second.connect().get().status == 200
    second.process.kill()
    assert second.wait() == -signal.SIGKILL
    assert max(held) < 64, "nothing of the process that forks is left"
