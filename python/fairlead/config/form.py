"""Forms: how one value is spelled, read, written back, and described to an editor.

A form is the meeting point of everything that is done with a key's value: reading it (with an
error that says what was expected), writing it (`--print-config`), and the JSON Schema. So a new
key is one line in `schema`, and nobody has to remember three places.

Decides single values. Doesn't know tables (`table`), nor what must hold between values (`rules`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fairlead.config import units
from fairlead.config.suggest import nearest
from fairlead.config.tree import describe
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from fairlead.config.place import Place
    from fairlead.config.tree import Grammars, Kind, Node

__all__ = [
    "Choice",
    "Duration",
    "Form",
    "Many",
    "Path",
    "Reading",
    "Regex",
    "Share",
    "Size",
    "Spelled",
    "Statuses",
    "Whole",
]

T = TypeVar("T")

# Where a value stands in the tree: ``("pools", "app", "backends", 0)``.
Path = tuple[str | int, ...]

# Nobody reads more, and a 16 MiB file of nonsense would make millions.
_ERRORS_SHOWN = 1_000

# Looking for the nearest name takes time for each known one; whoever has a hundred unknown
# names has another problem than spelling.
_SUGGESTIONS = 100


class TooManyErrors(Exception):  # noqa: N818  # a way out of the reading, not a fault
    """Enough errors are found to stop reading."""


class Reading:
    """What is kept while one tree is read.

    Attributes:
        grammars: The native module, or something like it.
        errors: What is wrong, in the order of finding.
        places: Where the value of each path stands; of a table, its header.
        bases: For a kind of table, values that hold where it doesn't say otherwise: the file's
            ``[defaults]``.
        broken: Paths of values that are wrong, so that nobody judges what stands in for them.
    """

    def __init__(self, grammars: Grammars) -> None:
        self.grammars = grammars
        self.errors: list[ConfigError] = []
        self.places: dict[Path, Place] = {}
        self.bases: dict[type, dict[str, Any]] = {}
        self.broken: set[Path] = set()
        self._suggestions = _SUGGESTIONS

    def report(self, error: ConfigError) -> None:
        """Take an error down and go on, unless there are enough of them."""
        self.errors.append(error)
        if len(self.errors) >= _ERRORS_SHOWN:
            raise TooManyErrors

    def meant(self, name: str, known: Iterable[str]) -> str | None:
        """A hint with the nearest known name, if one is near."""
        self._suggestions -= 1
        found = nearest(name, known) if self._suggestions >= 0 else None
        return f"did you mean `{found}`?" if found else None


class Form(ABC, Generic[T]):
    """How a value is spelled."""

    # What an error says was expected when the value isn't even of the right kind.
    expected: str = ""
    # Stands in for a required value that was wrong, until all errors are told.
    blank: Any = ""

    @abstractmethod
    def read(self, node: Node, reading: Reading, path: Path) -> T:
        """The value of a node.

        Raises:
            ConfigError: The node isn't spelled as it should be. Forms of several values report
                what is wrong with each to ``reading`` instead, and return the good ones.
        """

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The form as JSON Schema."""

    def write(self, value: T) -> Any:
        """The value as it would stand in a file: text, number, list or table.

        A text is returned as it is, whatever the form, so that configurations made in Python may
        use the file's spellings; reading it back finds what is wrong with it.
        """
        return value if isinstance(value, str) else self.spell(value)

    def spell(self, value: T) -> Any:
        """Like `write`, for values that aren't text."""
        return value

    def misfit(self, node: Node, path: Path, hint: str | None = None) -> ConfigError:
        """The error for a value of the wrong kind."""
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        who = f"`{name}`" if path and path[-1] == name else f"an entry of `{name}`"
        return ConfigError("type", f"{who} is {describe(node)}", self.expected, node.place, hint)


class Spelled(Form[str]):
    """A text that a function checks and brings to its usual spelling.

    Attributes:
        expected: What an error says was expected.
        pattern: The spelling as a regular expression for editors, roughly.
    """

    def __init__(
        self,
        check: Callable[[str, Place], str],
        expected: str,
        *,
        pattern: str | None = None,
        kinds: tuple[Kind, ...] = ("string",),
    ) -> None:
        self.expected = expected
        self._check = check
        self._pattern = pattern
        self._kinds = kinds

    def read(self, node: Node, reading: Reading, path: Path) -> str:
        """The text, checked; of a whole number, where one may stand, its digits."""
        del reading
        if node.kind not in self._kinds:
            raise self.misfit(node, path)
        return self._check(str(node.value), node.place)

    def schema(self) -> dict[str, Any]:
        """A string, or a number where one may stand for it."""
        text: dict[str, Any] = {"type": "string"}
        if self._pattern:
            text["pattern"] = self._pattern
        return {"anyOf": [text, {"type": "integer"}]} if "integer" in self._kinds else text


class Duration(Form["timedelta"]):
    """A duration: ``"250ms"``."""

    expected = 'a duration in quotes, such as "250ms", "2s" or "5m"'

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def read(self, node: Node, reading: Reading, path: Path) -> timedelta:
        """The duration."""
        del reading
        if node.kind == "integer":
            hint = f'write "{node.value}s" for seconds or "{node.value}ms" for milliseconds'
            raise self.misfit(node, path, hint)
        if node.kind != "string":
            raise self.misfit(node, path)
        return units.parse_duration(node.value, at=node.place, zero=self._zero)

    def spell(self, value: timedelta) -> str:
        """The duration with its unit."""
        return units.format_duration(value)

    def schema(self) -> dict[str, Any]:
        """A string of digits and unit."""
        return {"type": "string", "pattern": "^[0-9]{1,9}(ms|s|m|h)$"}


class Size(Form["int | None"]):
    """A number of bytes: ``"64KiB"``; with ``none`` also ``"none"`` for no limit."""

    expected = 'a size in quotes, such as "64KiB" or "1MiB"'

    def __init__(self, low: str, high: str, *, none: bool = False) -> None:
        self._low, self._high, self._none = low, high, none

    def read(self, node: Node, reading: Reading, path: Path) -> int | None:
        """The number of bytes, or ``None`` for no limit."""
        del reading
        if node.kind == "integer":
            raise self.misfit(node, path, f'write "{node.value}B" for bytes')
        if node.kind != "string":
            raise self.misfit(node, path)
        if self._none and node.value == "none":
            return None
        try:
            size = units.parse_size(node.value, at=node.place)
        except ConfigError as error:
            if self._none:
                error.expected += ', or "none" for no limit'
            raise
        low, high = (units.parse_size(text, at=node.place) for text in (self._low, self._high))
        if not low <= size <= high:
            what = f"`{node.value}` is too {'small' if size < low else 'large'}"
            raise ConfigError("size.range", what, f"{self._low} to {self._high}", node.place)
        return size

    def spell(self, value: int | None) -> str:
        """The size with its unit."""
        return "none" if value is None else units.format_size(value)

    def schema(self) -> dict[str, Any]:
        """A string of digits and unit."""
        size = {"type": "string", "pattern": "^[0-9]{1,16}(B|KiB|MiB|GiB|TiB)$"}
        return {"anyOf": [size, {"const": "none"}]} if self._none else size


class Share(Form[float]):
    """A percentage: ``"2%"``."""

    expected = 'a percentage in quotes, such as "2%"'

    def read(self, node: Node, reading: Reading, path: Path) -> float:
        """The share, 0 to 1."""
        del reading
        if node.kind in ("integer", "float"):
            raise self.misfit(node, path, f'write "{node.value}%"')
        if node.kind != "string":
            raise self.misfit(node, path)
        return units.parse_share(node.value, at=node.place)

    def spell(self, value: float) -> str:
        """The share as a percentage."""
        return units.format_share(value)

    def schema(self) -> dict[str, Any]:
        """A string of a number and %."""
        return {"type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,2})?%$"}


class Whole(Form["int | None"]):
    """A whole number within bounds; with ``none`` also ``"none"`` for no limit."""

    def __init__(self, low: int, high: int, *, none: bool = False) -> None:
        self._low, self._high, self._none = low, high, none
        self.expected = f"a whole number from {low} to {high}"
        if none:
            self.expected += ', or "none" for no limit'

    def read(self, node: Node, reading: Reading, path: Path) -> int | None:
        """The number, or ``None`` for no limit."""
        del reading
        if self._none and node.kind == "string" and node.value == "none":
            return None
        if node.kind == "string" and node.value.isdecimal():
            raise self.misfit(node, path, f"write {node.value} without quotes")
        if node.kind != "integer":
            raise self.misfit(node, path)
        value: int = node.value
        if not self._low <= value <= self._high:
            what = f"{value} is out of range"
            raise ConfigError("number.range", what, self.expected, node.place)
        return value

    def spell(self, value: int | None) -> Any:
        """The number."""
        return "none" if value is None else value

    def schema(self) -> dict[str, Any]:
        """An integer between bounds."""
        number = {"type": "integer", "minimum": self._low, "maximum": self._high}
        return {"anyOf": [number, {"const": "none"}]} if self._none else number


class Flag(Form[bool]):
    """Yes or no: ``true`` or ``false``."""

    expected = "true or false, without quotes"

    def read(self, node: Node, reading: Reading, path: Path) -> bool:
        """The flag."""
        del reading
        if node.kind == "string" and node.value in ("true", "false"):
            raise self.misfit(node, path, f"write {node.value} without quotes")
        if node.kind != "boolean":
            raise self.misfit(node, path)
        value: bool = node.value
        return value

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


class Choice(Form[str]):
    """One of some names.

    ``later`` are names that fairlead knows but doesn't have yet; ``also`` are other values that
    are good, too: how to tell one, what they are called, and roughly their regular expression.
    """

    def __init__(
        self,
        what: str,
        names: tuple[str, ...],
        *,
        later: tuple[str, ...] = (),
        also: tuple[Callable[[str], bool], str, str] | None = None,
    ) -> None:
        self.expected = "one of " + ", ".join(f'"{name}"' for name in names)
        if also:
            self.expected += f", or {also[1]}"
        self._what, self._names, self._later, self._also = what, names, later, also

    def read(self, node: Node, reading: Reading, path: Path) -> str:
        """The name."""
        if node.kind != "string":
            raise self.misfit(node, path)
        value: str = node.value
        if value in self._names or (self._also and self._also[0](value)):
            return value
        code, found, hint = "value.unknown", f"`{value}` is not {self._what}", None
        if value in self._later:
            unavailable = f"{self._what.removeprefix('a ')} `{value}`"
            code, found = "unavailable", f"{unavailable} is not available in this version"
        else:
            hint = reading.meant(value, self._names)
        raise ConfigError(code, found, self.expected, node.place, hint)

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        names = {"enum": list(self._names)}
        return {"anyOf": [names, {"pattern": self._also[2]}]} if self._also else names


class Regex(Form[str]):
    """A regular expression in the engine's syntax (Rust's ``regex`` crate)."""

    expected = "a regular expression in quotes"

    def read(self, node: Node, reading: Reading, path: Path) -> str:
        """The expression, which compiles."""
        if node.kind != "string":
            raise self.misfit(node, path)
        problem = reading.grammars.check_regex(node.value)
        if problem is not None:
            reason = problem.strip().splitlines()[-1].removeprefix("error: ")
            found = f"`{node.value}` is not a regular expression: {reason}"
            hint = "back-references and look-around don't exist here: matching takes linear time"
            raise ConfigError(
                "regex.form",
                found,
                "the syntax of Rust's regex crate",
                node.place,
                hint if "not supported" in reason else None,
            )
        pattern: str = node.value
        return pattern

    def schema(self) -> dict[str, Any]:
        """A string; the dialect differs from JSON Schema's."""
        return {"type": "string"}


class Statuses(Form["tuple[tuple[int, int], ...]"]):
    """Ranges of HTTP statuses: ``"200-399"``, ``204``."""

    expected = 'statuses such as "200-399" or "200,204"'

    def read(self, node: Node, reading: Reading, path: Path) -> tuple[tuple[int, int], ...]:
        """The ranges, both ends included."""
        del reading
        if node.kind not in ("string", "integer"):
            raise self.misfit(node, path)
        return units.parse_statuses(str(node.value), at=node.place)

    def spell(self, value: tuple[tuple[int, int], ...]) -> str:
        """The ranges, joined by commas."""
        return ",".join(f"{low}-{high}" if low != high else f"{low}" for low, high in value)

    def schema(self) -> dict[str, Any]:
        """A string of ranges, or one status."""
        one = "[1-5][0-9]{2}(\\s*-\\s*[1-5][0-9]{2})?"
        return {
            "anyOf": [
                {"type": "string", "pattern": f"^{one}(\\s*,\\s*{one})*$"},
                {"type": "integer", "minimum": 100, "maximum": 599},
            ]
        }


class Many(Form["tuple[T, ...]"]):
    """A list of values of one form. With ``lone``, a single value may stand without brackets."""

    blank = ()

    def __init__(self, each: Form[T], what: str, *, lone: bool = True, least: int = 0) -> None:
        self._each, self._lone, self._least = each, lone, least
        self._what = what
        self.expected = f"a list of {what}"

    def read(self, node: Node, reading: Reading, path: Path) -> tuple[T, ...]:
        """The good ones of the values; what is wrong with the others is reported."""
        if node.kind != "array":
            if not self._lone:
                raise self.misfit(node, path)
            return (self._each.read(node, reading, path),)
        if len(node.value) < self._least:
            found = f"`{path[-1]}` is empty"
            raise ConfigError("list.empty", found, f"one or more {self._what}", node.place)
        values = []
        for index, child in enumerate(node.value):
            reading.places[(*path, index)] = child.place
            try:
                values.append(self._each.read(child, reading, (*path, index)))
            except ConfigError as error:
                reading.report(error)
        return tuple(values)

    def spell(self, value: tuple[T, ...]) -> Any:
        """A list, or the only value alone where that may be."""
        spelled = [self._each.write(each) for each in value]
        return spelled[0] if self._lone and len(spelled) == 1 else spelled

    def schema(self) -> dict[str, Any]:
        """An array, or one of its items."""
        items = self._each.schema()
        array: dict[str, Any] = {"type": "array", "items": items}
        if self._least:
            array["minItems"] = self._least
        return {"anyOf": [items, array]} if self._lone else array
