"""A configuration as a tree of values, each with its place: what TOML and YAML have in common.

Decides the kinds of value there are. Doesn't know which keys mean anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from fairlead.config.place import Place

__all__ = ["DEEPEST", "MOST_VALUES", "Entry", "Grammars", "Kind", "Node", "describe"]

Kind = Literal[
    "table", "array", "string", "integer", "float", "boolean", "datetime", "null", "broken"
]

# No configuration needs more than six levels. A bound keeps any text from exhausting the stack.
DEEPEST = 64

# Ten thousand pools of ten backends have half as many. Some other file that happens to be readable
# has more, and YAML's aliases grow to more within a few lines.
MOST_VALUES = 1_000_000


class Node(NamedTuple):
    """A value and where it stands.

    Attributes:
        kind: What it is. ``broken`` is a value that is reported already.
        value: A list of `Entry` for a table, of `Node` for an array, else the plain value.
        place: Where it stands. Of a table with a header, the header.
    """

    kind: Kind
    value: Any
    place: Place


class Entry(NamedTuple):
    """A key of a table with its value. ``place`` is the key's."""

    key: str
    place: Place
    node: Node


class Grammars(Protocol):
    """What is read by native code. The module ``fairlead._engine`` is one.

    ``config`` doesn't import the native module: whoever wires things together passes it in.
    """

    def parse_toml(self, text: str, /) -> tuple[Any, list[tuple[int, int, str]]]:
        """Read TOML: a tree of ``(kind, start, end, value)``, and the syntax errors."""

    def check_regex(self, pattern: str, /) -> str | None:
        """Say what is wrong with a regular expression of the engine, if anything is."""


_SPOKEN: dict[Kind, str] = {
    "table": "a table",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "float": "a number with a fraction",
    "boolean": "true or false",
    "datetime": "a date or time",
    "null": "empty",
    "broken": "unreadable",
}


def describe(node: Node) -> str:
    """What kind of value it is, for people: ``a whole number``."""
    return _SPOKEN[node.kind]
