"""The commands of `-c` and `-i`: a line of text to an answer.

Decides how a command is found (the first in the table that what was typed is the beginning of),
what its words mean, and the exact words of its answer, which scripts look for. What is done is
the channels' own (`Steering`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from fairlead.compat.channels import CHANNELS_MAX, GROUPS_MAX
from fairlead.compat.rendezvous import Answer
from fairlead.compat.usage import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Row", "Shell", "Steering"]

_SYNTAX_ERROR = "syntax error\n"
_HELP = """\
available commands:
  create <host> <port>           creates a channel in the current group
  assign <channel> <host> <port> reassigns a channel in the current group
  disable <channel>              disables specified channel in current group
  enable <channel>               enables channel in current group
  group <group>                  changes current group to <group>
  monitor [enable|disable|show]  control the monitor process
  hash                           sets distribution scheme of current group to Hash
  help                           prints this message
  kill                           kills master process and quits interactive mode
  maxc <channel> <maxc>          specifies new maxc for channel of current group
  mrtg-bytes <grp> <ch>          print bytes in/out in MRTG format
  mrtg-conns <grp> <ch>          print total connections in MRTG format
  quit                           quit interactive mode
  reset <channel>                reset all counters of channel in current group
  rr                             sets distribution scheme of current group to Round Robin
  show                           show all channels in all groups
  version                        show version id
"""
_COLUMNS = "{:>3} {:>4} {:>2} {:>3} {:>16} {:>5} {:>4} {:>11} {:>4} {:>11} {:>11}\n"
_TITLES = (
    "GRP",
    "Type",
    "#",
    "S",
    "ip-address",
    "port",
    "c",
    "totalc",
    "maxc",
    "sent",
    "rcvd",
)
_MAXC_MAX = 2_147_483_647
_ASSIGN_WORDS = 3


class Row(Protocol):
    """A channel as `show` shows it."""

    @property
    def group(self) -> int:
        """Its group's number."""

    @property
    def hashed(self) -> bool:
        """Whether its group goes by hash."""

    @property
    def number(self) -> int:
        """Its own number within the group."""

    @property
    def state(self) -> str:
        """`ENA`, `dis` or `DIS`."""

    @property
    def address(self) -> str:
        """Where it is."""

    @property
    def port(self) -> int:
        """At which port."""

    @property
    def active(self) -> int:
        """Connections now."""

    @property
    def total(self) -> int:
        """Connections tried in all."""

    @property
    def maxc(self) -> int:
        """Connections at once; 0 is no limit."""

    @property
    def sent(self) -> int:
        """Bytes to it."""

    @property
    def received(self) -> int:
        """Bytes from it."""


class Steering(Protocol):
    """What the commands steer. A channel is named by its group and its number there."""

    def rows(self) -> Sequence[Row]:
        """All channels, by group and number."""

    def count(self, group: int) -> int:
        """How many channels a group has."""

    async def enable(self, group: int, number: int) -> bool:
        """Enable; whether it was not."""

    async def disable(self, group: int, number: int) -> bool:
        """Disable by hand; whether it was not."""

    async def create(self, group: int, host: str, port: str) -> bool:
        """Add a channel, disabled; whether the address is one."""

    async def assign(self, group: int, number: int, host: str, port: str) -> bool:
        """Give another address; whether it is one."""

    async def set_hashed(self, group: int, *, hashed: bool) -> None:
        """Change a group's type."""

    async def set_maxc(self, group: int, number: int, maxc: int) -> None:
        """Change a limit."""

    def reset(self, group: int, number: int) -> None:
        """Count from 0."""

    @property
    def monitoring(self) -> bool | None:
        """Whether checks run; `None` if there are none to run."""

    def set_monitoring(self, *, enabled: bool) -> None:
        """Let checks run or rest."""

    async def kill(self) -> bool:
        """End: listen no more, finish what is under way; whether the port is free."""


class Shell:
    """One conversation: it remembers its current group."""

    def __init__(self, steering: Steering) -> None:
        """Begin in group 0.

        Args:
            steering: What is steered.
        """
        self._steering = steering
        self.group = 0

    async def run(self, line: str) -> Answer:
        """Run a line of commands, `;` between them."""
        text = ""
        for command in line.split(";"):
            words = command.split()
            if not words:
                continue
            said, code = await self._run(words)
            text += said
            if code is not None:
                return Answer(text, self.group, code)
        return Answer(text, self.group)

    async def _run(self, words: list[str]) -> tuple[str, int | None]:
        command, *arguments = words
        found = next((name for name in _COMMANDS if name.startswith(command)), None)
        if found == "quit":
            return "", 0
        if found == "kill":
            if await self._steering.kill():
                return "shutdown complete, exiting.\n", 0
            return "shutdown failed.\n", UNAVAILABLE
        if found is None:
            return _SYNTAX_ERROR, None
        run, wanted = _COMMANDS[found]
        # What is too much was never looked at.
        return await run(self, arguments) if len(arguments) >= wanted else _SYNTAX_ERROR, None

    # -- commands ---------------------------------------------------------------------------

    async def show(self, _: list[str]) -> str:
        """Every channel, a line each."""
        lines = [_COLUMNS.format(*_TITLES)]
        for row in self._steering.rows():
            kind = "Hash" if row.hashed else "RR"
            place = (row.group, kind, row.number, row.state, row.address, row.port)
            counts = (row.active, row.total, row.maxc, row.sent, row.received)
            lines.append(_COLUMNS.format(*place, *counts))
        return "".join(lines)

    async def help(self, _: list[str]) -> str:
        """The list of commands."""
        return _HELP

    async def monitor(self, arguments: list[str]) -> str:
        """Show or switch the checks."""
        what = next((name for name in _MONITOR if name.startswith(arguments[0])), None)
        if what is None:
            return _SYNTAX_ERROR
        running = self._steering.monitoring
        if running is None:
            return "no monitor process running\n"
        if what == "show":
            state = "enabled" if running else "disabled"
            return f"monitor process running as pid {os.getpid()} and is {state}\n"
        if running == (what == "enable"):
            return f"monitor is already {what}d\n"
        self._steering.set_monitoring(enabled=what == "enable")
        return f"monitor is now {what}d\n"

    async def disable(self, arguments: list[str]) -> str:
        """By hand."""
        number = _number(arguments[0])
        if number is None:
            return _SYNTAX_ERROR
        if not self._exists(number):
            return f"no such channel {number}\n"
        changed = await self._steering.disable(self.group, number)
        return f"channel {number} {'' if changed else 'already '}disabled\n"

    async def enable(self, arguments: list[str]) -> str:
        """Whoever had disabled it."""
        number = _number(arguments[0])
        if number is None:
            return _SYNTAX_ERROR
        if not self._exists(number):
            return f"no such channel {number}\n"
        changed = await self._steering.enable(self.group, number)
        return f"channel {number} {'' if changed else 'already '}enabled\n"

    async def change_group(self, arguments: list[str]) -> str:
        """From now on, in this conversation."""
        number = _number(arguments[0])
        if number is None:
            return _SYNTAX_ERROR
        if not 0 <= number < GROUPS_MAX:
            return "value out of range\n"
        self.group = number
        return ""

    async def reset(self, arguments: list[str]) -> str:
        """The counters of a channel."""
        number = _number(arguments[0])
        if number is None:
            return _SYNTAX_ERROR
        if not self._exists(number):
            return f"no such channel {number}\n"
        self._steering.reset(self.group, number)
        return f"channel {number} counters reset\n"

    async def create(self, arguments: list[str]) -> str:
        """A channel at the end of the group, disabled."""
        if self._steering.count(self.group) >= CHANNELS_MAX:
            return "no channel slots available\n"
        made = await self._steering.create(self.group, arguments[0], arguments[1])
        return "channel created\n" if made else "invalid address\n"

    async def assign(self, arguments: list[str]) -> str:
        """Another address for a channel that is disabled by hand."""
        number = _number(arguments[0])
        if number is None or not self._exists(number):
            return "unknown channel\n"
        if self._row(self.group, number).state != "DIS":
            return "channel must be disabled to assign new address\n"
        if len(arguments) < _ASSIGN_WORDS:
            return _SYNTAX_ERROR
        done = await self._steering.assign(self.group, number, arguments[1], arguments[2])
        return "channel reassigned\n" if done else "invalid address\n"

    async def maxc(self, arguments: list[str]) -> str:
        """The limit of a channel."""
        number, maxc = _number(arguments[0]), _number(arguments[1])
        if number is None or not self._exists(number):
            return "unknown channel\n"
        if maxc is None or not 0 <= maxc <= _MAXC_MAX:
            return _SYNTAX_ERROR
        await self._steering.set_maxc(self.group, number, maxc)
        return f"maxc of channel {number} changed to {maxc}\n"

    async def mrtg_bytes(self, arguments: list[str]) -> str:
        """Received and sent, for MRTG."""
        place = self._place(arguments)
        if isinstance(place, str):
            return place
        row = self._row(*place)
        who = f"group {place[0]} channel {place[1]}"
        return f"{row.received}\n{row.sent}\nUNKNOWN\n{who}\n"

    async def mrtg_conns(self, arguments: list[str]) -> str:
        """Connections in all, for MRTG."""
        place = self._place(arguments)
        if isinstance(place, str):
            return place
        who = f"group {place[0]} channel {place[1]}"
        return f"{self._row(*place).total}\nUNKNOWN\nUNKNOWN\n{who}\n"

    async def version(self, _: list[str]) -> str:
        """That of the balance whose command line this is."""
        return f"  This is balance 3.54\n  MAXGROUPS={GROUPS_MAX}\n  MAXCHANNELS={CHANNELS_MAX}\n"

    async def hash(self, _: list[str]) -> str:
        """The current group, by the client's address."""
        await self._steering.set_hashed(self.group, hashed=True)
        return f"group {self.group} set to hash\n"

    async def round_robin(self, _: list[str]) -> str:
        """The current group, in turn."""
        await self._steering.set_hashed(self.group, hashed=False)
        return f"group {self.group} set to round robin\n"

    # -- what they share --------------------------------------------------------------------

    def _exists(self, number: int) -> bool:
        return 0 <= number < self._steering.count(self.group)

    def _row(self, group: int, number: int) -> Row:
        rows = self._steering.rows()
        return next(row for row in rows if (row.group, row.number) == (group, number))

    def _place(self, arguments: list[str]) -> tuple[int, int] | str:
        """Group and channel, or why there are none."""
        group, number = _number(arguments[0]), _number(arguments[1])
        if group is None or not 0 <= group < GROUPS_MAX:
            return "unknown group\n"
        if number is None or not 0 <= number < self._steering.count(group):
            return "unknown channel\n"
        return group, number


def _number(text: str) -> int | None:
    digits = text.removeprefix("-")
    whole = digits.isascii() and digits.isdecimal() and len(digits) < len(str(_MAXC_MAX)) + 1
    return int(text) if whole else None


# In the order in which a beginning finds them; with how many words follow.
_COMMANDS: dict[str, tuple[Callable[[Shell, list[str]], Awaitable[str]], int]] = {
    "quit": (Shell.help, 0),
    "show": (Shell.show, 0),
    "help": (Shell.help, 0),
    "?": (Shell.help, 0),
    "kill": (Shell.help, 0),
    "monitor": (Shell.monitor, 1),
    "disable": (Shell.disable, 1),
    "group": (Shell.change_group, 1),
    "reset": (Shell.reset, 1),
    "enable": (Shell.enable, 1),
    "create": (Shell.create, 2),
    # What is wrong with the channel is told before what is missing behind it.
    "assign": (Shell.assign, 1),
    "maxc": (Shell.maxc, 2),
    "mrtg-bytes": (Shell.mrtg_bytes, 2),
    "mrtg-conns": (Shell.mrtg_conns, 2),
    "version": (Shell.version, 0),
    "hash": (Shell.hash, 0),
    "rr": (Shell.round_robin, 0),
}
_MONITOR = ("enable", "disable", "show")
