"""YAML to tree, with the places of its values.

Built from the reader's events, not by its loader: the loader is recursive (a text of brackets
ends the process), expands aliases without bound, and resolves plain words by the rules of YAML 1.1,
where ``off`` is false and ``22:22`` is a number of minutes. Here plain scalars mean what they mean
in YAML 1.2's core schema: ``true``, ``false``, ``null``, numbers; everything else is text.

Imported only for files that end in .yaml or .yml.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

import yaml

from fairlead.config.tree import DEEPEST, MOST_VALUES, Entry, Node
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from fairlead.config.place import Place, Source
    from fairlead.config.tree import Kind

__all__ = ["read_yaml"]

_LOADER = getattr(yaml, "CLoader", yaml.Loader)

# YAML 1.1, "c-printable".
_FORBIDDEN = re.compile(
    "[^\\x09\\x0a\\x0d\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]"
)


class _Refusal(Exception):  # noqa: N818  # carries the error out of the reading
    def __init__(self, error: ConfigError) -> None:
        super().__init__(error)
        self.error = error


def read_yaml(source: Source) -> tuple[Node, list[ConfigError]]:
    """The tree of a YAML text and its syntax errors: at most one, as YAML can't be resumed.

    >>> from fairlead.config.place import Source
    >>> tree, errors = read_yaml(Source("fairlead.yaml", "workers: 2"))
    >>> [(entry.key, entry.node.value) for entry in tree.value], errors
    ([('workers', 2)], [])
    """
    builder = _Builder(source)
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        return builder.nothing(), [_syntax(error, source, builder)]
    except _Refusal as refusal:
        return builder.nothing(), [refusal.error]
    root = builder.root
    if root is None or root.kind == "null":
        return builder.nothing(), []
    return root, []


def _syntax(error: yaml.YAMLError, source: Source, builder: _Builder) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    start = builder.offset(mark.index) if mark else _unreadable(source)
    rest = source.data[start:].decode("utf-8", "replace")
    context = getattr(error, "context", None)
    found = f"{problem} ({context})" if context else str(problem)
    return ConfigError("syntax", found, "", source.place(start, start + len(rest[:1].encode())))


def _unreadable(source: Source) -> int:
    """Offset of the first character that YAML doesn't allow.

    The loaders count to it in different units, and from different places.
    """
    found = _FORBIDDEN.search(source.text)
    return len(source.text[: found.start()].encode()) if found else 0


class _Open:
    """A table or list that isn't closed yet."""

    __slots__ = ("anchor", "items", "kind", "start")

    def __init__(self, kind: Kind, start: int, anchor: str | None) -> None:
        self.kind = kind
        self.start = start
        self.anchor = anchor
        self.items: list[Node] = []


class _Builder:
    """Puts events together to a tree."""

    def __init__(self, source: Source) -> None:
        self.root: Node | None = None
        self._source = source
        self._ascii = source.text.isascii()
        self._last = (0, 0)
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._values = 0

    def nothing(self) -> Node:
        """The tree of an empty text."""
        return Node("table", [], self._source.place(0, 0))

    def span(self, event: yaml.Event) -> tuple[int, int]:
        """First byte of an event, and the byte after its last."""
        first, last = event.start_mark, event.end_mark
        # The stubs allow events without marks, for those made by hand.
        start = self.offset(first.index) if first else 0
        return start, max(self.offset(last.index) if last else 0, start)

    def offset(self, index: int) -> int:
        """Offset in bytes of a character. Fast for indices that grow, as those of events do."""
        if self._ascii:
            return index
        from_index, from_offset = self._last if index >= self._last[0] else (0, 0)
        text = self._source.text[from_index:index]
        self._last = (index, from_offset + len(text.encode()))
        return self._last[1]

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event), event.anchor, 1)
            self._bound(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin("table", event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin("array", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._finish(self.span(event)[1])
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._refuse("a second document", "one document", event)

    def _bound(self, event: yaml.Event) -> None:
        if self._values > MOST_VALUES:
            self._refuse(f"more than {MOST_VALUES:,} values", "a configuration", event)

    def _begin(self, kind: Kind, event: yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            self._refuse(f"the tag `{event.tag}`", "plain values", event)
        if len(self._open) >= DEEPEST:
            self._refuse(f"more than {DEEPEST} tables or lists in one another", "", event)
        self._open.append(_Open(kind, self.span(event)[0], event.anchor))

    def _finish(self, end: int) -> None:
        done = self._open.pop()
        place = self._source.place(done.start, end)
        if done.kind == "array":
            node = Node("array", done.items, place)
        else:
            pairs = zip(done.items[::2], done.items[1::2], strict=True)
            node = Node("table", [_entry(key, value) for key, value in pairs], place)
        self._add(node, done.anchor, 1 + len(done.items))

    def _add(self, node: Node, anchor: str | None, values: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, self._weight(node))
        self._values += values
        if self._open:
            self._open[-1].items.append(node)
        else:
            self.root = node

    def _weight(self, node: Node) -> int:
        """How many values a node has, all told. Only anchored ones are counted."""
        if node.kind == "array":
            return 1 + sum(map(self._weight, node.value))
        if node.kind == "table":
            return 1 + sum(self._weight(entry.node) for entry in node.value)
        return 1

    def _alias(self, event: yaml.AliasEvent) -> None:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            self._refuse(f"nothing before is called `&{event.anchor}`", "an anchor", event)
        node, weight = known
        self._add(node, None, weight)
        self._bound(event)

    def _refuse(self, found: str, expected: str, event: yaml.Event) -> NoReturn:
        start, end = self.span(event)
        place = self._source.place(start, max(end, start + 1))
        raise _Refusal(ConfigError("syntax", found, expected, place))

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        place = self._source.place(*self.span(event))
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self._refuse(f"the tag `{event.tag}`", "plain values", event)
        # implicit[0]: plain, without quotes or tag.
        return (
            _plain(event.value, place) if event.implicit[0] else Node("string", event.value, place)
        )


def _entry(key: Node, value: Node) -> Entry:
    if key.kind in ("table", "array"):
        raise _Refusal(ConfigError("syntax", "a key that is no text", "a name", key.place))
    # A name such as 8080 or true is a name all the same.
    return Entry(key.place.text if key.kind != "string" else key.value, key.place, value)


def _plain(text: str, place: Place) -> Node:
    """A plain scalar by YAML 1.2's core schema."""
    if re.fullmatch(r"|~|null|Null|NULL", text):
        return Node("null", None, place)
    if re.fullmatch(r"true|True|TRUE|false|False|FALSE", text):
        return Node("boolean", text.lower() == "true", place)
    if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
        return Node("integer", int(text), place)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", text):
        return Node("float", text, place)
    return Node("string", text, place)
