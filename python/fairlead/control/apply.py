"""A plan's way into the engine: all of it or nothing, and what to tell people when it is nothing.

The engine opens what is new before it changes anything, so a plan that can't be bound leaves the
old one as it was. This file turns its list of problems into one error that people can act on.

Not here: how plans are made (`config`), what is kept over a change (`wishes`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fairlead.errors import EngineError

if TYPE_CHECKING:
    from fairlead.control.engine import Engine

_IN_USE = "address already in use"
_HINTS = (
    (_IN_USE, "see who has it with `ss -ltnp`, or choose another port"),
    (
        "permission denied",
        (
            "ports below 1024 take root or CAP_NET_BIND_SERVICE; one that has given root up (`user`) "
            "takes a restart, or a socket of systemd's"
        ),
    ),
    ("cannot assign requested address", "see this machine's addresses with `ip address`"),
)


def apply(engine: Engine, plan: bytes) -> None:
    """Make the engine follow `plan`.

    Raises:
        EngineError: Something can't be bound; nothing has changed. Its text names each listener
            and address.
    """
    from fairlead import _engine

    try:
        engine.apply(plan)
    except _engine.EngineError as error:
        raise readable(str(error)) from None


def readable(problems: str) -> EngineError:
    """The engine's list of problems as one error for people.

    >>> error = readable('[{"listener": "web", "bind": "127.0.0.1:80", "problem": "permission denied"}]')
    >>> print(error, error.hint, sep=" | ")
    listener `web` can't listen on 127.0.0.1:80: permission denied | ports below 1024 take root \
or CAP_NET_BIND_SERVICE; one that has given root up (`user`) takes a restart, or a socket of systemd's
    """
    try:
        rows = json.loads(problems)
        lines = [
            f"listener `{row['listener']}` can't listen on {row['bind']}: {row['problem']}"
            for row in rows
        ]
    except (ValueError, TypeError, KeyError):
        # Not about binding: the engine's own words are the best there are.
        return EngineError(problems)
    return EngineError("\n".join(lines), hint_for(lines[0]))


def hint_for(problem: str) -> str | None:
    """What to do about a failure to bind, if there is something to say.

    >>> hint_for("Address already in use (os error 98)")
    'see who has it with `ss -ltnp`, or choose another port'
    """
    lower = problem.lower()
    return next((hint for part, hint in _HINTS if part in lower), None)
