"""`Config` to text: the same set-up as a file, without what goes without saying.

Reading the text back gives an equal `Config`; tests hold that for any. Decides the layout of the
file; how single values are spelled is their forms' business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fairlead.config.schema import CONFIG

if TYPE_CHECKING:
    from fairlead.config.schema import Config

__all__ = ["write_toml"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}

# A list that fits into a line stays in one.
_LINE = 88


def write_toml(config: Config) -> str:
    """The configuration as TOML.

    >>> from fairlead.config.schema import Backend, Config, Listener, Pool
    >>> app = Pool(backends=(Backend("app1:8000"), Backend("app2:8000", 3)))
    >>> web = Listener(bind=(":8080",), pool="app")
    >>> print(write_toml(Config(listeners={"web": web}, pools={"app": app})), end="")
    [listeners.web]
    bind = ":8080"
    pool = "app"
    <BLANKLINE>
    [pools.app]
    backends = ["app1:8000", "app2:8000*3"]
    """
    lines: list[str] = []
    _table((), CONFIG.write(config), lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(path: tuple[str, ...], table: dict[str, Any], lines: list[str]) -> None:
    """The table's own values first: TOML counts what stands after a header to that header."""
    inner = {key: value for key, value in table.items() if _has_header(key, value)}
    own = {key: value for key, value in table.items() if key not in inner}
    # A table of nothing but tables goes without a header of its own.
    if path and (own or not inner):
        lines += ["", f"[{_keys(path)}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in own.items()]
    for key, value in inner.items():
        if isinstance(value, dict):
            _table((*path, key), value, lines)
            continue
        for row in value:
            lines += ["", f"[[{_keys((*path, key))}]]"]
            lines += [f"{_key(name)} = {_value(each)}" for name, each in row.items()]


def _has_header(key: str, value: Any) -> bool:
    return isinstance(value, dict) or (key == "routes" and isinstance(value, list))


def _keys(path: tuple[str, ...]) -> str:
    return ".".join(map(_key, path))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
        )
    if isinstance(value, (list, tuple)):
        items = [_value(each) for each in value]
        line = f"[{', '.join(items)}]"
        if len(line) <= _LINE:
            return line
        return "[\n" + "".join(f"  {item},\n" for item in items) + "]"
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    escaped = "".join(
        _ESCAPES.get(character) or (character if character.isprintable() else _escape(character))
        for character in value
    )
    return f'"{escaped}"'


def _escape(character: str) -> str:
    return f"\\u{ord(character):04X}" if ord(character) < 0x10000 else f"\\U{ord(character):08X}"
