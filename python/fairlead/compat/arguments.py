"""balance's command line, word by word, to a value.

Options are read as getopt reads them on Linux: letters may be joined (`-fp`), a value may stand
right behind its letter, options may follow the port, `--` ends them. Decides what is a usage error
by the text alone. Doesn't know which hosts exist (`channels`), nor what a monitoring spec means
(`spec`).

Imported by `-c` and `-i`, which scripts call often: it imports next to nothing.
"""

from __future__ import annotations

from fairlead.compat.usage import UsageError
from fairlead.compat.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Arguments", "Keepalive", "parse_arguments"]

_LONGEST_SECONDS = 1e9
_KEEPALIVE_MAX = (32_767, 32_767, 127)
_WITH_VALUE = "cbBtTkKm"
_FLAGS = "adfpiHM6"


class Keepalive(Value):
    """TCP keepalive: silence before the first probe and between two, in seconds; their number."""

    idle_seconds: int
    interval_seconds: int
    probes: int


class Arguments(Value):
    """What was asked for.

    Attributes:
        port: A number or the name of a service.
        channels: Hosts, `!` and `%`, as typed.
        bind: `-b`.
        source: `-B`.
        connect_seconds: `-t`.
        idle_seconds: `-T`; 0 is never.
        autodisable: `-a`.
        debug: `-d`.
        foreground: `-f`.
        hash_failover: `-H`.
        dump: `-p`.
        six: `-6`.
        command: `-c`.
        interactive: `-i`.
        monitor: `-m`.
        client_keepalive: `-k`.
        channel_keepalive: `-K`.
        strict: `--compat=strict`.
    """

    port: str = ""
    channels: tuple[str, ...] = ()
    bind: str | None = None
    source: str | None = None
    connect_seconds: float = 5.0
    idle_seconds: float = 0.0
    autodisable: bool = False
    debug: bool = False
    foreground: bool = False
    hash_failover: bool = False
    dump: bool = False
    six: bool = False
    command: str | None = None
    interactive: bool = False
    monitor: str | None = None
    client_keepalive: Keepalive | None = None
    channel_keepalive: Keepalive | None = None
    strict: bool = False


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Read the words after the program's name.

    Raises:
        UsageError: They are wrong; without a message where balance has none.
    """
    fields: dict[str, object] = {}
    others: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            others += rest
            break
        if word.startswith("--"):
            _read_long(word, fields)
        elif word.startswith("-") and word != "-":
            _read_letters(word[1:], rest, fields)
        else:
            others.append(word)
    if not others:
        raise UsageError
    asks = "command" in fields or "interactive" in fields
    if asks and len(others) > 1:
        raise UsageError("-c and -i take a port and nothing else")
    fields.update(port=others[0], channels=tuple(others[1:]))
    return Arguments(**fields)


def _read_long(word: str, fields: dict[str, object]) -> None:
    if word != "--compat=strict":
        raise UsageError(f"unrecognized option '{word}'")
    fields["strict"] = True


def _read_letters(letters: str, rest: list[str], fields: dict[str, object]) -> None:
    """One word of letters; the last of them may take the next word as its value."""
    for index, letter in enumerate(letters):
        value = ""
        takes = letter in _WITH_VALUE
        if takes:
            value = letters[index + 1 :]
            if not value and not rest:
                raise UsageError(f"option requires an argument -- '{letter}'")
            value = value or rest.pop(0)
        elif letter not in _FLAGS:
            raise UsageError(f"invalid option -- '{letter}'")
        if letter in _FIELDS:
            name, read = _FIELDS[letter]
            fields[name] = read(letter, value)
        if takes:
            return


def _seconds(letter: str, text: str) -> float:
    """A number of seconds above 0; balance takes whole ones, fractions are ours."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.001 <= seconds <= _LONGEST_SECONDS:
        raise UsageError(f"-{letter} {text}: expected a number of seconds above 0")
    return seconds


def _keepalive(letter: str, text: str) -> Keepalive:
    parts = text.split(",")
    whole = len(parts) == len(_KEEPALIVE_MAX) and all(part.isdecimal() for part in parts)
    numbers = [int(part) for part in parts] if whole else []
    if not whole or not all(
        0 < number <= most for number, most in zip(numbers, _KEEPALIVE_MAX, strict=True)
    ):
        raise UsageError(f"-{letter} {text}: expected idle,interval,probes, such as 60,10,5")
    return Keepalive(*numbers)


# Where the value of each letter goes, and how it is read; a letter without an entry is ignored.
_FIELDS: dict[str, tuple[str, Callable[[str, str], object]]] = {
    "a": ("autodisable", lambda _, __: True),
    "d": ("debug", lambda _, __: True),
    "f": ("foreground", lambda _, __: True),
    "p": ("dump", lambda _, __: True),
    "i": ("interactive", lambda _, __: True),
    "H": ("hash_failover", lambda _, __: True),
    "6": ("six", lambda _, __: True),
    "c": ("command", lambda _, text: text),
    "b": ("bind", lambda _, text: text),
    "B": ("source", lambda _, text: text),
    "m": ("monitor", lambda _, text: text),
    "t": ("connect_seconds", _seconds),
    "T": ("idle_seconds", _seconds),
    "k": ("client_keepalive", _keepalive),
    "K": ("channel_keepalive", _keepalive),
}
