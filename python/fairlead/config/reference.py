"""The reference page of the configuration, in Markdown; made from `schema`.

Decides the layout of the page. Every word on keys comes from `schema`.
"""

from __future__ import annotations

import msgspec

from fairlead.config.schema import (
    AccessLog,
    Admin,
    Backend,
    Check,
    Config,
    Defaults,
    DefaultTimeouts,
    Limits,
    Listener,
    ListenerDefaults,
    ListenerTimeouts,
    Outlier,
    OverallLimits,
    Pool,
    PoolDefaults,
    PoolTimeouts,
    Retry,
    Route,
)
from fairlead.config.table import Key, keys

__all__ = ["limit_rows", "render"]

_TABLES: list[tuple[str, type[msgspec.Struct]]] = [
    ("Top level", Config),
    ("[limits]", OverallLimits),
    ("[access_log]", AccessLog),
    ("[admin]", Admin),
    ("[listeners.NAME]", Listener),
    ("[[listeners.NAME.routes]]", Route),
    ("[listeners.NAME.timeouts]", ListenerTimeouts),
    ("[listeners.NAME.limits]", Limits),
    ("[pools.NAME]", Pool),
    ("An entry of `backends`", Backend),
    ("[pools.NAME.check]", Check),
    ("[pools.NAME.timeouts]", PoolTimeouts),
    ("[pools.NAME.retry]", Retry),
    ("[pools.NAME.outlier]", Outlier),
    ("[defaults]", Defaults),
    ("[defaults.timeouts]", DefaultTimeouts),
    ("[defaults.pools]", PoolDefaults),
    ("[defaults.listeners]", ListenerDefaults),
]

_HEAD = """\
# Configuration

<!-- Made by `make docs` from python/fairlead/config/schema.py; edit that file. -->

A configuration is a TOML file, or YAML if its name ends in `.yaml` or `.yml`.
Durations are texts of a whole number and `ms`, `s`, `m` or `h`: `"250ms"`.
Sizes are texts of a whole number and `B`, `KiB`, `MiB`, `GiB` or `TiB`: `"64KiB"`.
`fairlead check` tells everything that is wrong with a file at once; `fairlead schema` prints a JSON Schema for editors.
"""


def render() -> str:
    """The page."""
    return "\n".join([_HEAD, *(_section(title, struct) for title, struct in _TABLES)])


def limit_rows() -> list[tuple[str, str, str]]:
    """All limits and timeouts on the client's side: key, default, what it is for and why."""
    tables: list[tuple[str, type[msgspec.Struct]]] = [
        ("limits", OverallLimits),
        ("listeners.NAME.limits", Limits),
        ("listeners.NAME.timeouts", ListenerTimeouts),
    ]
    return [
        (f"{table}.{name}", _default(key, field), f"{key.text} {key.why}".strip())
        for table, struct in tables
        for field in msgspec.structs.fields(struct)
        for name, key in keys(struct).items()
        if field.name == name
    ]


def _section(title: str, struct: type[msgspec.Struct]) -> str:
    heading = f"`{title}`" if title.startswith("[") else title
    intro = (struct.__doc__ or "").strip()
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    rows = [_row(name, key, fields[name]) for name, key in keys(struct).items()]
    return "\n".join([f"## {heading}", "", intro, "", *rows])


def _row(name: str, key: Key, field: msgspec.structs.FieldInfo) -> str:
    sentences = [key.text, f"Default: {_default(key, field)}.", key.why]
    text = "\n  ".join(sentence for sentence in sentences if sentence)
    return f"- **`{name}`**: {text}\n"


def _default(key: Key, field: msgspec.structs.FieldInfo) -> str:
    if key.default:
        return key.default
    if field.required:
        return "none, it is required"
    if isinstance(field.default, (msgspec.Struct, dict)):
        return "the table's own defaults"
    if field.default in ((), None):
        return "none"
    written = key.form.write(field.default)
    return f'`"{written}"`' if isinstance(written, str) else f"`{written}`"
