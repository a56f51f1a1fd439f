"""fairlead with all its calls made through an io_uring: ``TEST_IO=uring`` before any test run.

Each call goes through the ring then, also in a turn with one event, where it would be made by
itself otherwise: a test with three connections would hardly ever see a batch.

Run as a program, it is fairlead in that way.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("fairlead")


def is_wanted() -> bool:
    """Whether these tests are to run in that way."""
    return os.environ.get("TEST_IO") == "uring"


def program() -> list[str]:
    """What starts fairlead with an interpreter of its own."""
    return [sys.executable, __file__] if is_wanted() else [str(PROGRAM)]


def put_in() -> None:
    """From now on, this process makes no other engines."""
    from fairlead import _engine

    real = _engine.Engine

    @functools.wraps(real)
    def made(workers: int = 0, *_: Any) -> Any:
        return real(workers, "uring", 0)

    _engine.Engine = made  # type: ignore[misc, assignment]


def missing() -> str | None:
    """Why there is no io_uring here, if there is none."""
    import json

    from fairlead import _engine

    engine = _engine.Engine(1, "uring")
    empty = {"listeners": [], "pools": [], "shutdown_timeout": 0}
    try:
        engine.apply(json.dumps(empty).encode())
    except _engine.EngineError as error:
        return str(error)
    return None


def main() -> int:
    """Be fairlead."""
    from fairlead.cli.main import main as fairlead

    put_in()
    sys.argv[0] = str(PROGRAM)
    return fairlead()


if __name__ == "__main__":
    # Found as a part of the test kit, not by what lies beside this file.
    sys.path.pop(0)
    sys.exit(main())
