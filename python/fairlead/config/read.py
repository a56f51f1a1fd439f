"""Find a configuration file, read it, and make a tree of it.

The only file of ``config`` that touches the file system. Decides where configurations are looked
for, which files are refused unread, and which language a file is in (by its extension). Doesn't
know what any key means.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead.config import spelling
from fairlead.config.place import Source
from fairlead.config.tree import DEEPEST, MOST_VALUES, Entry, Node
from fairlead.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.config.place import Place
    from fairlead.config.tree import Grammars, Kind

__all__ = ["find", "grammars", "is_yaml", "read", "read_token", "read_toml", "searched"]

# Ten thousand pools take about 2 MiB. What is larger is some other file.
_LARGEST: Final = 16 * 1024 * 1024
_TOKEN_LARGEST: Final = 4096


def searched(environment: Mapping[str, str]) -> list[Path]:
    """Where a configuration is looked for, in order.

    ``FAIRLEAD_CONFIG`` names the only place, if it is set.

    >>> [str(path) for path in searched({"XDG_CONFIG_HOME": "/home/me/.config"})]
    ['fairlead.toml', '/home/me/.config/fairlead/fairlead.toml', '/etc/fairlead/fairlead.toml']
    """
    told = environment.get("FAIRLEAD_CONFIG")
    if told:
        return [Path(told)]
    home = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "/")) / ".config"
    folders = [Path(), Path(home) / "fairlead", Path("/etc/fairlead")]
    return [folder / "fairlead.toml" for folder in folders]


def find(environment: Mapping[str, str]) -> Path:
    """The first of the places that has a file.

    Raises:
        ConfigErrors: None has. The error lists them.
    """
    places = searched(environment)
    for path in places:
        if path.is_file() or "FAIRLEAD_CONFIG" in environment:
            return path
    looked = ", ".join(f"`{path}`" for path in places)
    hint = "name a file: `fairlead run FILE`, or do without one: `fairlead http :8080 HOST:PORT`"
    error = ConfigError("file.missing", f"no configuration in {looked}", "", None, hint)
    raise ConfigErrors([error])


def read(path: str | os.PathLike[str]) -> Source:
    """The text of a file.

    Raises:
        ConfigErrors: It can't be read, is too large, or isn't UTF-8.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        raise ConfigErrors([_unreadable(name, error)]) from None
    if len(data) > _LARGEST:
        found = f"`{name}` has more than {_LARGEST >> 20} MiB"
        raise ConfigErrors([ConfigError("file.large", found, "a configuration file", None)])
    return _decode(name, data)


def read_token(path: str, place: Place | None) -> str:
    """The token in a file: its only line.

    Args:
        path: The file.
        place: Where its name stands in the configuration.

    Raises:
        ConfigErrors: It can't be read, or what is in it is no token. Errors don't show it.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_TOKEN_LARGEST + 1)
    except (OSError, ValueError) as error:
        wrong = _unreadable(path, error)
        raise ConfigErrors([ConfigError(wrong.code, wrong.found, "", place)]) from None
    text = data.decode("latin-1").strip()
    try:
        return spelling.check_token(text, place or Source(path, "").place(0, 0))
    except ConfigError as error:
        error.place = place
        raise ConfigErrors([error]) from None


def _unreadable(name: str, error: OSError | ValueError) -> ConfigError:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    code = "file.missing" if isinstance(error, FileNotFoundError) else "file.unreadable"
    return ConfigError(code, f"can't read `{name}`: {reason}", "", None)


def _decode(name: str, data: bytes) -> Source:
    # Windows' editors begin UTF-8 files with a mark that no reader of TOML wants.
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return Source(name, data.decode())
    except UnicodeDecodeError as error:
        source = Source(name, data.decode("utf-8", "replace"))
        # Up to the first bad byte both are the same; it has become three bytes.
        place = source.place(error.start, error.start + 3)
    hint = "save the file as UTF-8" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else None
    found = "this is not UTF-8"
    raise ConfigErrors([ConfigError("file.encoding", found, "UTF-8 text", place, hint)])


def is_yaml(name: str) -> bool:
    """Whether a file is YAML, by its extension; all others are TOML."""
    return name.lower().endswith((".yaml", ".yml"))


def grammars() -> Grammars:
    """What is read by native code, for those who have nobody to hand it to them."""
    from fairlead import _engine  # noqa: PLC0415  # not for who only looks at values

    return _engine


def read_toml(source: Source, grammars: Grammars) -> tuple[Node, list[ConfigError]]:
    """The tree of a TOML text, as far as it can be understood, and its syntax errors."""
    raw, problems = grammars.parse_toml(source.text)
    errors = [
        ConfigError("syntax", message, _expected(message), source.place(start, end))
        for start, end, message in problems
    ]
    return _Planting(source, errors).node(raw, 0), errors


def _expected(message: str) -> str:
    """What the message leaves out; most of them say what was expected."""
    return "each name once" if " is defined twice" in message else ""


class _Planting:
    """Makes the tree from what native code read; deeper or larger than any use, it is cut."""

    def __init__(self, source: Source, errors: list[ConfigError]) -> None:
        self._source = source
        self._errors = errors
        self._values = 0

    def node(self, raw: tuple[Kind, int, int, Any], depth: int) -> Node:
        kind, start, end, value = raw
        place = self._source.place(start, end)
        if kind not in ("table", "array"):
            return Node(kind, value, place)
        self._values += len(value)
        if depth >= DEEPEST:
            return self._refuse(f"more than {DEEPEST} tables or lists in one another", place)
        if self._values > MOST_VALUES:
            return self._refuse(f"more than {MOST_VALUES:,} values", place)
        if kind == "array":
            return Node(kind, [self.node(child, depth + 1) for child in value], place)
        entries = [
            Entry(key, self._source.place(key_start, key_end), self.node(child, depth + 1))
            for key, key_start, key_end, child in value
        ]
        return Node(kind, entries, place)

    def _refuse(self, found: str, place: Place) -> Node:
        self._errors.append(ConfigError("syntax", found, "a configuration", place))
        return Node("broken", None, place)
