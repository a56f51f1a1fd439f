"""The channels of a command line: `host1:port:maxc host2 ! host3 % …` to groups.

Decides what `!` and `%` do, what an empty part of `host::maxc` means, and how many groups and
channels there may be. Doesn't know whether a host exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fairlead.compat.port import is_address, parse_port
from fairlead.compat.usage import DATA_ERROR, ExitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CHANNELS_MAX", "GROUPS_MAX", "Channel", "Group", "parse_channels"]

GROUPS_MAX = 16
CHANNELS_MAX = 64

_MAXC_DIGITS = 9


class Channel(NamedTuple):
    """One destination.

    Attributes:
        host: A name or an address, without brackets.
        port: Its number.
        maxc: Connections at once; 0 is no limit.
    """

    host: str
    port: int
    maxc: int = 0


class Group(NamedTuple):
    """Channels that are used alike.

    Attributes:
        channels: In their order.
        hashed: By the client's address; otherwise in turn.
    """

    channels: tuple[Channel, ...]
    hashed: bool = False


def parse_channels(words: Sequence[str], port: int) -> tuple[Group, ...]:
    """Read hosts, `!` and `%`.

    Args:
        words: As typed.
        port: The listener's, which a host without one takes.

    Raises:
        ExitError: Code 64 for groups that can't be, 65 for a host that can't be.

    >>> [group.hashed for group in parse_channels(["a", "%", "b:80", "!", "c"], 25)]
    [True, False, False]
    """
    groups: list[Group] = []
    members: list[Channel] = []
    for word in words:
        if word not in ("!", "%"):
            members.append(parse_channel(word, port))
            if len(members) > CHANNELS_MAX:
                raise UsageError(f"too many channels in one group, {CHANNELS_MAX} are possible")
            continue
        if not members:
            raise UsageError("no channels in group")
        groups.append(Group(tuple(members), word == "%"))
        members = []
        if len(groups) >= GROUPS_MAX:
            raise UsageError(f"too many groups, {GROUPS_MAX} are possible")
    # What follows the last separator is a group in turn; a separator at the end has closed it.
    if members:
        groups.append(Group(tuple(members)))
    return tuple(groups)


def parse_channel(word: str, port: int) -> Channel:
    """Read `host`, `host:port`, `host:port:maxc`; empty parts are as if left out.

    >>> parse_channel("mail::16", 25)
    Channel(host='mail', port=25, maxc=16)
    >>> parse_channel("[::1]:80", 25)
    Channel(host='::1', port=80, maxc=0)
    """
    if word.startswith("["):
        host, bracket, rest = word[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _bad("unknown or invalid address", word)
        parts = [host, *rest[1:].split(":")]
    elif word.count(":") > 2 and is_address(word):
        parts = [word]
    else:
        parts = word.split(":")
    host, port_text, maxc_text, *more = [*parts, "", ""][: max(3, len(parts))]
    if not host or more:
        raise _bad("unknown or invalid address", word)
    if maxc_text and not (maxc_text.isdecimal() and len(maxc_text) <= _MAXC_DIGITS):
        raise _bad("invalid max connections", maxc_text)
    number = parse_port(port_text) if port_text else port
    if number is None:
        raise _bad("invalid port number", port_text)
    return Channel(host, number, int(maxc_text or "0"))


def _bad(what: str, text: str) -> ExitError:
    return ExitError(DATA_ERROR, f"{what} [{text}]")
