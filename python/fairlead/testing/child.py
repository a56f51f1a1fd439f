"""The program of a `BackendProcess`: one `FakeBackend`, told what to do on standard input.

``python -m fairlead.testing.child NAME LISTEN``. Each line in is a JSON object: ``call`` is a
method of `FakeBackend`, the rest its arguments. Each line out answers one in, after a first one
that tells the address. The end of the input ends the program, and so does the end of the process
that started it, even while this one is frozen.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

from fairlead.testing.backend import FakeBackend

if TYPE_CHECKING:
    from collections.abc import Iterable

_SET_PARENT_DEATH_SIGNAL = 1

CALLS = frozenset(
    [
        "answer",
        "slow",
        "hang",
        "close",
        "reset",
        "garbage",
        "half_head",
        "half_body",
        "refuse",
        "swallow",
    ]
)
"""What may be called: the methods that say how to behave."""


def main(arguments: list[str], lines: Iterable[str]) -> None:
    """Run until the input ends.

    Args:
        arguments: The name and where to listen.
        lines: What to do, one JSON object each.
    """
    name, listen = arguments
    with FakeBackend(name, listen=listen) as backend:
        _say({"address": backend.address})
        for line in lines:
            _say(obey(backend, json.loads(line)))


def obey(backend: FakeBackend, order: dict[str, Any]) -> dict[str, Any]:
    """Make one call; what to answer."""
    call = order.pop("call")
    if call not in CALLS:
        return {"error": f"there is no call `{call}`"}
    try:
        getattr(backend, call)(**order)
    except (TypeError, ValueError, OSError) as error:
        return {"error": str(error)}
    return {}


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends (Linux only)."""
    import ctypes  # noqa: PLC0415  # for this one call

    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Ctrl-C in a terminal reaches the whole group; when to end is the parent's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    main(sys.argv[1:], sys.stdin)
