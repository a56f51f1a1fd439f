"""The table of commands: name, where it is defined, and a line about it.

The help page of ``fairlead`` is made from it without importing any command.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "Row"]


class Row(NamedTuple):
    """One command.

    Attributes:
        name: What is typed.
        file: Its module in ``cli/commands``; the command has the same name there.
        section: Under which heading the help page lists it.
        text: What it does, for the help page.
    """

    name: str
    file: str
    section: str
    text: str


_RUN, _ASK, _FILES = "Run", "Ask and steer what runs", "Configuration and setting up"

COMMANDS = (
    Row("http", "quick", _RUN, "Balance HTTP, set up by this command line alone"),
    Row("tcp", "quick", _RUN, "Balance TCP connections, set up by this command line alone"),
    Row("run", "run", _RUN, "Balance as a configuration file says"),
    Row("balance", "balance", _RUN, "Inlab balance's own command line, for who comes from it"),
    Row("demo", "demo", _RUN, "Watch fairlead at work over backends that misbehave"),
    Row("status", "status", _ASK, "Show listeners, pools and the health of each backend"),
    Row("top", "top", _ASK, "Show the same as it changes"),
    Row("events", "events", _ASK, "Show what happens: who went down, why, who came back"),
    Row("drain", "wish", _ASK, "Give a backend no new traffic; let it finish what it has"),
    Row("disable", "wish", _ASK, "Take a backend out of use"),
    Row("enable", "wish", _ASK, "Let a backend take traffic again"),
    Row("weight", "weight", _ASK, "Change a backend's share of the traffic"),
    Row("plan", "plan", _ASK, "Tell what a configuration would change, before it changes"),
    Row("chaos", "chaos", _ASK, "Play faults at one backend, and tell what clients noticed"),
    Row("reload", "reload", _ASK, "Make a running fairlead read its configuration again"),
    Row("check", "check", _FILES, "Tell everything that is wrong with a configuration file"),
    Row("simulate", "simulate", _FILES, "Play faults on a configuration, in virtual time"),
    Row("schema", "schema", _FILES, "Print the JSON Schema of the configuration, for editors"),
    Row("completion", "completion", _FILES, "Print the set-up of a shell's completion"),
    Row("version", "version", _FILES, "Print the version"),
)
