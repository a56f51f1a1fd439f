"""Tables: which keys one has, and reading and writing a whole one.

A table of the file and a structure of `schema` are the same thing here: each field of the
structure is annotated with its `Key`. Decides what is said about keys that nobody knows, that are
missing or that come twice. Doesn't know any particular table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from fairlead.config.form import Form
from fairlead.config.tree import describe
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.config.form import Path, Reading
    from fairlead.config.tree import Entry, Node

__all__ = ["Key", "Named", "Table", "Tables", "keys"]

S = TypeVar("S", bound=msgspec.Struct)

# Parts of the path of a table with a name of its own: `pools`, `app`.
_NAMED = 2

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Key:
    """What is known of one key: the row of the reference page.

    Attributes:
        form: How its value is spelled.
        text: What it means, with its unit.
        why: Why the default is what it is.
        default: What holds if the key is left out, for people, where that isn't a plain value.
    """

    __slots__ = ("default", "form", "text", "why")

    def __init__(self, form: Form[Any], text: str, *, why: str = "", default: str = "") -> None:
        self.form = form
        self.text = text
        self.why = why
        self.default = default


def keys(struct: type[msgspec.Struct]) -> dict[str, Key]:
    """The keys of a structure of `schema`, in their order."""
    return {
        name: next(each for each in annotation.__metadata__ if isinstance(each, Key))
        for name, annotation in struct.__annotations__.items()
    }


class Table(Form[S]):
    """One table, read into a structure.

    Args:
        struct: The structure.
        what: What the table is, for errors: ``a pool``.
        later: Keys that fairlead is going to have.
        apart: Keys that may stand here and are read by somebody else.
    """

    blank = None

    def __init__(
        self,
        struct: type[S],
        what: str,
        *,
        later: tuple[str, ...] = (),
        apart: Mapping[str, Key] | None = None,
    ) -> None:
        self.struct = struct
        self.what = what
        self.later = later
        self.apart = dict(apart or {})
        self.keys = keys(struct)
        fields = msgspec.structs.fields(struct)
        self.required = [field.name for field in fields if field.required]
        self.expected = "a table"

    def read(self, node: Node, reading: Reading, path: Path) -> S:
        """The structure; what is wrong with single keys is reported, their values are defaults."""
        if node.kind != "table":
            raise self.misfit(node, path)
        values = dict(reading.bases.get(self.struct, {}))
        seen: set[str] = set()
        for entry in node.value:
            try:
                self._read_entry(entry, seen, values, reading, path)
            except ConfigError as error:
                reading.report(error)
        for name in self.required:
            values.setdefault(name, self.keys[name].form.blank)
            if name not in seen:
                reading.report(self._missing(name, node, path))
        return self.struct(**values)

    def _read_entry(
        self, entry: Entry, seen: set[str], values: dict[str, Any], reading: Reading, path: Path
    ) -> None:
        name, node = entry.key, entry.node
        if name in seen:
            raise ConfigError(
                "key.duplicate", f"`{name}` stands here twice", "each key once", entry.place
            )
        seen.add(name)
        if name in self.apart or node.kind == "broken":
            return
        key = self.keys.get(name)
        if key is None:
            raise self._unknown(entry, reading)
        inner = (*path, name)
        reading.places[inner] = node.place
        try:
            values[name] = key.form.read(node, reading, inner)
        except ConfigError:
            reading.broken.add(inner)
            raise

    def _unknown(self, entry: Entry, reading: Reading) -> ConfigError:
        known = [*self.keys, *self.apart]
        expected = "one of " + ", ".join(f"`{name}`" for name in known)
        if entry.key in self.later:
            found = f"`{entry.key}` is not available in this version"
            return ConfigError("unavailable", found, expected, entry.place)
        found = f"`{entry.key}` is not a key of {self.what}"
        hint = reading.meant(entry.key, known)
        return ConfigError("key.unknown", found, expected, entry.place, hint)

    def _missing(self, name: str, node: Node, path: Path) -> ConfigError:
        # Of `pools.app` the name, of `pools.app.check` what it is.
        named = len(path) == _NAMED and isinstance(path[-1], str)
        who = f"{self.what.removeprefix('a ')} `{path[-1]}`" if named else self.what
        expected = self.keys[name].form.expected
        return ConfigError("key.missing", f"{who} has no `{name}`", expected, node.place)

    def spell(self, value: S | dict[str, Any]) -> Any:
        """A table of all that differs from the defaults. A plain table stays as it is."""
        if isinstance(value, dict):
            return value
        fields = msgspec.structs.fields(self.struct)
        spelled = {}
        for field in fields:
            each = getattr(value, field.name)
            if field.required or each != field.default:
                spelled[field.name] = self.keys[field.name].form.write(each)
        return spelled

    def schema(self) -> dict[str, Any]:
        """An object with these properties and no others."""
        fields = {field.name: field for field in msgspec.structs.fields(self.struct)}
        properties = {}
        for name, key in {**self.keys, **self.apart}.items():
            properties[name] = {"description": _description(key), **key.form.schema()}
            field = fields.get(name)
            if field is not None and not field.required:
                default = field.default
                if default is not None and not isinstance(default, (msgspec.Struct, dict)):
                    properties[name]["default"] = key.form.write(default)
        schema: dict[str, Any] = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
        if self.required:
            schema["required"] = self.required
        return schema


class Tables(Form["tuple[S, ...]"]):
    """A list of tables, ``[[listeners.web.routes]]``."""

    blank = ()

    def __init__(self, table: Table[S]) -> None:
        self.table = table
        self.expected = "a list of tables, each under its own `[[…]]`"

    def read(self, node: Node, reading: Reading, path: Path) -> tuple[S, ...]:
        """The structures, in order."""
        if node.kind == "table":
            raise self.misfit(node, path, "write the name in two brackets: `[[…]]`")
        if node.kind != "array":
            raise self.misfit(node, path)
        rows = []
        for index, child in enumerate(node.value):
            reading.places[(*path, index)] = child.place
            try:
                rows.append(self.table.read(child, reading, (*path, index)))
            except ConfigError as error:
                reading.report(error)
        return tuple(rows)

    def spell(self, value: tuple[S, ...]) -> Any:
        """A list of tables."""
        return [self.table.write(row) for row in value]

    def schema(self) -> dict[str, Any]:
        """An array of the table's objects."""
        return {"type": "array", "items": self.table.schema()}


class Named(Form["dict[str, S]"]):
    """Tables by name: ``[pools.app]``, ``[pools.api]``."""

    def __init__(self, table: Table[S], where: str) -> None:
        self.table = table
        self.expected = f"a table for each, `[{where}.NAME]`"
        self.blank = {}

    def read(self, node: Node, reading: Reading, path: Path) -> dict[str, S]:
        """The structures by name, in the file's order."""
        if node.kind != "table":
            raise self.misfit(node, path)
        named: dict[str, S] = {}
        for entry in node.value:
            try:
                named.update(self._read_entry(entry, named, reading, path))
            except ConfigError as error:
                reading.broken.add((*path, entry.key))
                reading.report(error)
        return named

    def _read_entry(
        self, entry: Entry, named: dict[str, S], reading: Reading, path: Path
    ) -> dict[str, S]:
        name, node = entry.key, entry.node
        if node.kind == "broken":
            return {}
        if name in named:
            found = f"there is a `{name}` already"
            raise ConfigError("name.duplicate", found, "a name of its own for each", entry.place)
        if _NAME.fullmatch(name) is None:
            expected = "letters, digits, `_`, `-` and `.`, at most 100 of them"
            found = f"`{name}` can't be the name of {self.table.what}"
            raise ConfigError("name.form", found, expected, entry.place)
        if node.kind != "table":
            found = f"`{name}` is {describe(node)}"
            hint = reading.meant(name, self.table.keys)
            raise ConfigError("type", found, self.expected, entry.place, hint)
        reading.places[(*path, name)] = node.place
        return {name: self.table.read(node, reading, (*path, name))}

    def spell(self, value: dict[str, S]) -> Any:
        """A table of tables."""
        return {name: self.table.write(row) for name, row in value.items()}

    def schema(self) -> dict[str, Any]:
        """An object whose properties are all such objects."""
        return {"type": "object", "additionalProperties": self.table.schema()}


def _description(key: Key) -> str:
    default = f"Default: {key.default}." if key.default else ""
    return " ".join(part for part in (key.text, default, key.why) if part)
