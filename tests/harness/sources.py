"""The files of the repository, for the rules about them."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def files(*suffixes: str) -> list[Path]:
    """All files that are, or would be, committed; those with one of the suffixes if any is given."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    chosen = [path for path in paths if not suffixes or path.suffix in suffixes]
    return sorted(path for path in chosen if path.is_file())


def name(path: Path) -> str:
    """The path as the repository knows it."""
    return path.relative_to(ROOT).as_posix()


def text(path: Path | str) -> str:
    """A file's contents."""
    return (ROOT / path).read_text(encoding="utf-8")


def commit() -> str:
    """Which version this is."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no commit"
