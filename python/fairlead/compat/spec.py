r"""A monitoring spec (`-m`) to a value.

`key[=value]` pairs joined by `:`; a backslash takes the next character as it is. Actions are done
in order; options of an action follow it, all others may stand anywhere. Beyond Last.fm's:
fractions of a second for the interval, `rise` and `fall`. Decides what a spec may say and what
holds if it doesn't. Doesn't know when checks run (`monitor`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fairlead.compat.usage import UNAVAILABLE, ExitError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Command", "Connect", "Monitoring", "parse_spec"]

_LONGEST_SECONDS = 1e6
_CODE_MAX = 255
_COUNT_MAX = 100
# Longer than any check that people wait for; one that hangs ends here.
_COMMAND_SECONDS = 30.0


class Connect(NamedTuple):
    """Connects to the channel; `timeout_seconds` for a whole attempt."""

    timeout_seconds: float


class Command(NamedTuple):
    """Runs a program.

    Attributes:
        line: For the shell; `%H` and `%P` stand for address and port.
        codes: Exit codes that pass.
        timeout_seconds: After which it has failed, and is ended.
    """

    line: str
    codes: tuple[int, ...]
    timeout_seconds: float


class Monitoring(NamedTuple):
    """What is checked, and what follows.

    Attributes:
        actions: In order; the first that fails decides.
        interval_seconds: Between the beginnings of two rounds.
        enable: Passing checks bring a channel back.
        disable: Failing checks take one out.
        rise: Passes in a row that bring one back.
        fall: Failures in a row that take one out. One lost packet must not.
    """

    actions: tuple[Connect | Command, ...]
    interval_seconds: float = 60.0
    enable: bool = True
    disable: bool = True
    rise: int = 1
    fall: int = 3


class _Draft:
    """What was read so far."""

    def __init__(self) -> None:
        self.actions: list[dict[str, str]] = []
        self.globals: dict[str, str] = {}

    def take(self, key: str, value: str | None) -> None:
        """One pair."""
        if key in ("connect", "command"):
            if (value is None) != (key == "connect") or value == "":
                raise _wrong(f"`{key}` takes {'no' if key == 'connect' else 'a'} value")
            self.actions.append({"action": key, "line": value or ""})
        elif key in ("timeout", "pass"):
            action = {"timeout": "connect", "pass": "command"}[key]
            if not self.actions or self.actions[-1]["action"] != action or not value:
                raise _wrong(f"`{key}=…` stands behind `{action}`")
            self.actions[-1][key] = value
        elif key in ("noenable", "nodisable"):
            if value is not None:
                raise _wrong(f"`{key}` takes no value")
            self.globals[key] = ""
        elif key in ("interval", "rise", "fall"):
            if not value:
                raise _wrong(f"`{key}` takes a value")
            self.globals[key] = value
        else:
            raise _wrong(f"`{key}` is not known")


def parse_spec(text: str, connect_seconds: float) -> Monitoring:
    r"""Read a spec.

    Args:
        text: As typed.
        connect_seconds: `-t`, the most that a connect is given.

    Raises:
        ExitError: It is wrong; code 69, as in balance.fm.

    >>> parse_spec(r"connect:timeout=0.5:command=check -s %H\:%P:interval=0.5", 5).actions
    (Connect(timeout_seconds=0.5), Command(line='check -s %H:%P', codes=(0,), timeout_seconds=30.0))
    """
    draft = _Draft()
    for key, value in _pairs(text):
        draft.take(key, value)
    if not draft.actions:
        raise _wrong("there is no action, `connect` or `command=…`")
    interval = _number("interval", draft.globals.get("interval", "60"))
    # A connect that is still on its way when the next round is due has failed this one.
    patience = min(connect_seconds, max(interval, 1.0))
    return Monitoring(
        actions=tuple(_action(action, patience) for action in draft.actions),
        interval_seconds=interval,
        enable="noenable" not in draft.globals,
        disable="nodisable" not in draft.globals,
        rise=_count("rise", draft.globals.get("rise", "1")),
        fall=_count("fall", draft.globals.get("fall", "3")),
    )


def _pairs(text: str) -> Iterator[tuple[str, str | None]]:
    """Keys and values; a key without `=` has none."""
    parts: list[str] = [""]
    first_equals: list[int | None] = [None]
    characters = iter(text)
    for character in characters:
        if character == ":":
            parts.append("")
            first_equals.append(None)
            continue
        if character == "=" and first_equals[-1] is None:
            first_equals[-1] = len(parts[-1])
        parts[-1] += next(characters, "") if character == "\\" else character
    for part, equals in zip(parts, first_equals, strict=True):
        if equals is None:
            yield part, None
        else:
            yield part[:equals], part[equals + 1 :]


def _action(action: dict[str, str], patience: float) -> Connect | Command:
    if action["action"] == "connect":
        given = action.get("timeout")
        return Connect(_number("timeout", given) if given else patience)
    codes = [part.strip() for part in action.get("pass", "0").split(",")]
    if not all(code.isdecimal() and int(code) <= _CODE_MAX for code in codes):
        raise _wrong(f"`pass={action['pass']}`: expected exit codes, such as `0,2`")
    return Command(action["line"], tuple(int(code) for code in codes), _COMMAND_SECONDS)


def _number(key: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds <= _LONGEST_SECONDS:
        raise _wrong(f"`{key}={text}`: expected a number of seconds, 0.01 or more")
    return seconds


def _count(key: str, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _COUNT_MAX:
        raise _wrong(f"`{key}={text}`: expected a whole number from 1 to {_COUNT_MAX}")
    return int(text)


def _wrong(why: str) -> ExitError:
    return ExitError(UNAVAILABLE, f"invalid monitoring spec: {why}")
