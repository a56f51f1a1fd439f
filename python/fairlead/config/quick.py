"""The quick forms: `fairlead http :8080 app1:8000 app2:8000` to `Config`.

The words of the command line become the same tree that a file becomes, each value with its place
among the words, and are read by the same code. So both have the same rules and the same errors,
and the place underlined is in the command as it was typed.

Decides what `!`, commas and a host without a port mean. Doesn't know how options are spelled on
the command line: `cli` hands them over by name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from fairlead.config import units
from fairlead.config.parse import Parsed, parse
from fairlead.config.place import Source
from fairlead.config.tree import Entry, Node
from fairlead.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fairlead.config.place import Place
    from fairlead.config.tree import Grammars, Kind

__all__ = ["SOURCE", "Quick", "parse_quick"]

SOURCE = "command line"


class Quick(NamedTuple):
    """The words of a quick form.

    Attributes:
        protocol: ``http`` or ``tcp``.
        listen: Where to listen.
        backends: Addresses, ``!`` between groups.
        options: By name without dashes; left out if not given. Numbers as numbers.
    """

    protocol: str
    listen: str
    backends: Sequence[str]
    options: Mapping[str, str | int] = {}


def parse_quick(quick: Quick, grammars: Grammars) -> Parsed:
    """Read a quick form: one listener, one pool.

    Raises:
        ConfigErrors: Everything that is wrong with it.
    """
    return _Words(quick).parse(grammars)


class _Word(NamedTuple):
    text: str
    start: int


class _Words:
    """The command line as a text, and the tree of what it says."""

    def __init__(self, quick: Quick) -> None:
        self._quick = quick
        self._line = f"fairlead {quick.protocol}"
        self._listen = self._word(quick.listen)
        self._backends = [self._word(word) for word in quick.backends]
        self._options: dict[str, tuple[_Word, str | int]] = {}
        for name, value in quick.options.items():
            self._line += f" --{name}"
            self._options[name] = (self._word(str(value)), value)
        self._source = Source(SOURCE, self._line)
        self._errors: list[ConfigError] = []

    def _word(self, text: str) -> _Word:
        """Put a word to the end of the line."""
        self._line += " "
        word = _Word(text, len(self._line.encode("utf-8", "replace")))
        self._line += _quoted(text)
        return word

    def parse(self, grammars: Grammars) -> Parsed:
        """The configuration that the words mean."""
        tree = self._tree()
        try:
            parsed = parse(tree, grammars)
        except ConfigErrors as errors:
            # That a list of backends is empty was said better already.
            others = [error for error in errors.errors if error.code != "list.empty"]
            raise ConfigErrors(self._errors + others) from None
        if self._errors:
            raise ConfigErrors(self._errors)
        return parsed

    def _tree(self) -> Node:
        protocol = self._quick.protocol
        listener = self._table(
            bind=self._at("string", self._listen.text, self._listen),
            protocol=Node("string", protocol, self._source.place(9, 9 + len(protocol))),
            pool=self._whole("string", "app"),
        )
        pool = self._table(
            policy=self._option("policy"),
            backends=self._whole("array", list(self._groups())),
            check=self._check(),
            timeouts=self._table(connect=self._option("connect-timeout")),
            retry=self._table(attempts=self._option("attempts")),
        )
        name = "web" if protocol == "http" else "tcp"
        return self._table(
            workers=self._option("workers"),
            io=self._option("io"),
            access_log=self._option("access-log"),
            admin=self._admin(),
            listeners=self._table(**{name: listener}),
            pools=self._table(app=pool),
        )

    # ------------------------------------------------------------------------------------- backends

    def _groups(self) -> Iterator[Node]:
        """The backends, with the group that the `!`s before them make."""
        group, members = 0, 0
        for word in self._backends:
            if word.text == "!":
                if not members:
                    self._refuse(word, "`!` has no backend before it", "a backend on each side")
                group, members = group + 1, 0
                continue
            for part in _parts(word):
                members += 1
                node = self._backend(part, group)
                if node is not None:
                    yield node
        if not members:
            last = self._backends[-1] if self._backends else self._listen
            found = "`!` has no backend after it" if group else "there is no backend"
            self._refuse(last, found, "at least one, such as `app1:8000`")

    def _backend(self, part: _Word, group: int) -> Node | None:
        place = self._place(part)
        if "!" in part.text:
            hint = "put a space on each side of `!`"
            error = ConfigError(
                "address.form", f"`{part.text}` has a `!` in it", "one address", place, hint
            )
            self._errors.append(error)
            return None
        try:
            address, weight = units.parse_weighted(part.text, at=place)
        except ConfigError as error:
            self._errors.append(error)
            return None
        fields = {"address": Node("string", self._with_port(address), place)}
        if weight is not None:
            fields["weight"] = Node("integer", weight, place)
        if group:
            fields["group"] = Node("integer", group, place)
        return Node("table", [Entry(key, place, node) for key, node in fields.items()], place)

    def _with_port(self, address: str) -> str:
        """On tcp a host alone takes the listener's port."""
        alone = re.fullmatch(r"\[[^\]]*\]|[^:/]+", address)
        port = re.fullmatch(r"(?:.*:)?([0-9]+)", self._listen.text)
        if self._quick.protocol != "tcp" or not alone or not port or port[1].strip("0") == "":
            return address
        return f"{address}:{port[1]}"

    # -------------------------------------------------------------------------------------- options

    def _check(self) -> Node | None:
        fields = {name: self._option(name) for name in ("interval", "timeout", "rise", "fall")}
        given = self._options.get("check")
        if given is not None:
            word, value = given
            is_path = str(value).startswith("/")
            fields["type"] = self._at("string", "http" if is_path else value, word)
            if is_path:
                fields["path"] = self._at("string", value, word)
            elif value not in ("tcp", "none"):
                self._refuse(
                    word, f"`{value}` is not a check", "tcp, none, or a path such as /health"
                )
                fields["type"] = None
        return self._table(**fields)

    def _admin(self) -> Node | None:
        listen = self._option("admin")
        return self._table(listen=listen) if listen else None

    def _option(self, name: str) -> Node | None:
        given = self._options.get(name)
        if given is None:
            return None
        word, value = given
        return self._at("integer" if isinstance(value, int) else "string", value, word)

    # ---------------------------------------------------------------------------------------- nodes

    def _table(self, **fields: Node | None) -> Node:
        entries = [Entry(key, node.place, node) for key, node in fields.items() if node is not None]
        return self._whole("table", entries)

    def _whole(self, kind: Kind, value: Any) -> Node:
        """A value that stands nowhere in particular."""
        return Node(kind, value, self._source.place(0, len(self._source.data)))

    def _at(self, kind: Kind, value: Any, word: _Word) -> Node:
        return Node(kind, value, self._place(word))

    def _place(self, word: _Word) -> Place:
        return self._source.place(
            word.start, word.start + len(word.text.encode("utf-8", "replace"))
        )

    def _refuse(self, word: _Word, found: str, expected: str) -> None:
        self._errors.append(ConfigError("usage", found, expected, self._place(word)))


def _parts(word: _Word) -> Iterator[_Word]:
    """The parts of a word between its commas. A path of a socket may have commas itself."""
    if word.text.startswith("unix:"):
        yield word
        return
    at = word.start
    for text in word.text.split(","):
        yield _Word(text, at)
        at += len(text.encode("utf-8", "replace")) + 1


def _quoted(text: str) -> str:
    """The word as it might have been typed."""
    return text if text and not re.search(r"[\s'\"\\$;&|<>()]", text) else f"'{text}'"
