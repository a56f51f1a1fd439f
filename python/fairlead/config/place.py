"""Where a value stands in the text that it came from, and how that is shown to a person.

Decides lines, columns, and the frame with the underlined place. Doesn't know what the text means:
a configuration file and the words of a command line are shown alike. One thing is guessed, and
rather too often: what looks like a secret is shown as stars, as errors end in logs and in terminals
that others look at.

A place is made for every value of a file but looked at for the wrong ones only, so making one
costs next to nothing: line and column are worked out when somebody asks.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property

__all__ = ["Place", "Source"]

# A line of a configuration fits; of a minified one we show what is around the place.
_SHOWN_CHARACTERS = 120

# A value behind a key like `token`, `"tokn"` or `password`, in TOML or YAML, quoted or not; a mistake
# may leave its quote open. The name of a file (`token_file`) is no secret.
_SECRET = re.compile(
    rb"""(?i)(?<![\w-])(?![\w-]*file)[\w-]*(?:tok|secret|passw)[\w-]*["']?[ \t]*[=:][ \t]*"""
    rb"""(?:"((?:[^"\\\n]|\\.)*)|'([^'\n]*)|([^\s"',}#][^\s,}#]*))"""
)


class Source:
    """A text with a name. Offsets into it are bytes of its UTF-8 form.

    Attributes:
        name: What the text is called in messages: the path as the user gave it.
        data: The text as bytes.
        text: The text. Lone surrogates, which no file has, are question marks.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.data = text.encode("utf-8", "replace")
        self.text = self.data.decode()

    def place(self, start: int, end: int) -> Place:
        """The place of the bytes from ``start`` up to but without ``end``."""
        return Place(self, start, end)

    @cached_property
    def line_starts(self) -> list[int]:
        """Offset of the first byte of each line."""
        starts, data = [0], self.data
        at = data.find(b"\n")
        while at >= 0:
            starts.append(at + 1)
            at = data.find(b"\n", at + 1)
        return starts

    @cached_property
    def shown(self) -> bytes:
        """The text as people may see it: with stars for secrets, byte for byte."""
        shown = bytearray(self.data)
        for found in _SECRET.finditer(self.data):
            start, end = found.span(found.lastindex or 0)
            shown[start:end] = b"*" * (end - start)
        return bytes(shown)

    def line_at(self, offset: int) -> int:
        """Number of the line with this byte, 1 for the first."""
        return bisect_right(self.line_starts, offset)


class Place:
    r"""Some bytes of a source.

    Attributes:
        source: The text.
        start: Offset of the first byte.
        end: Offset after the last byte.

    >>> place = Source("fairlead.toml", 'a = 1\nb = "zwölf" # no').place(10, 18)
    >>> str(place), place.text
    ('fairlead.toml:2:5', '"zwölf"')
    >>> print("\n".join(place.frame("expected a whole number")))
     --> fairlead.toml:2:5
      |
    2 | b = "zwölf" # no
      |     ^^^^^^^ expected a whole number
    """

    __slots__ = ("end", "source", "start")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    def __repr__(self) -> str:
        return f"<{self}>"

    @property
    def line(self) -> int:
        """Number of the line, 1 for the first."""
        return self.source.line_at(self.start)

    @property
    def column(self) -> int:
        """Number of the character in its line, 1 for the first."""
        return len(self._characters(self._line_start(), self.start)) + 1

    @property
    def end_column(self) -> int:
        """Column after the last character, within the first line that the place covers."""
        return self.column + max(1, len(self._characters(self.start, self._visible_end())))

    @property
    def text(self) -> str:
        """What stands there."""
        return self._characters(self.start, self.end)

    @property
    def line_text(self) -> str:
        """The line, or what is around the place if the line is very long."""
        before, marked, after = self._pieces()
        return before + marked + after

    def frame(self, label: str) -> list[str]:
        """The lines that show this place to a person, with ``label`` behind the underlining."""
        number = str(self.line)
        gutter = " " * len(number)
        before, marked, after = self._pieces()
        underline = " " * _columns(before) + "^" * max(1, _columns(marked))
        return [
            f"{gutter}--> {self}",
            f"{gutter} |",
            f"{number} | {before}{marked}{after}".rstrip(),
            f"{gutter} | {underline} {label}".rstrip(),
        ]

    def _pieces(self) -> tuple[str, str, str]:
        """The line before, at and after the place, fit for a terminal, cut if it is long."""
        end = self._visible_end()
        # Twice as many bytes as characters shown, at least: what is cut off needn't be decoded.
        from_byte = max(self._line_start(), self.start - 4 * _SHOWN_CHARACTERS)
        to_byte = min(self._line_end(), end + 4 * _SHOWN_CHARACTERS)
        before = self._shown(from_byte, self.start)
        marked = self._shown(self.start, end)[:_SHOWN_CHARACTERS]
        after = self._shown(end, to_byte)
        room = max(0, _SHOWN_CHARACTERS - len(marked))
        kept_before = before[-max(20, room - len(after)) :]
        kept_after = after[: max(0, room - len(kept_before))]
        if len(kept_before) < len(before):
            kept_before = "…" + kept_before[1:]
        if len(kept_after) < len(after):
            kept_after = kept_after[:-1] + "…"
        return _printable(kept_before), _printable(marked), _printable(kept_after)

    def _line_start(self) -> int:
        return self.source.line_starts[self.line - 1]

    def _line_end(self) -> int:
        starts, line = self.source.line_starts, self.line
        return starts[line] - 1 if line < len(starts) else len(self.source.data)

    def _visible_end(self) -> int:
        """End of the place within its first line."""
        return max(self.start, min(self.end, self._line_end()))

    def _characters(self, start: int, end: int) -> str:
        return self.source.data[start:end].decode("utf-8", "replace")

    def _shown(self, start: int, end: int) -> str:
        return self.source.shown[start:end].decode("utf-8", "replace")


def _printable(text: str) -> str:
    """The text with one visible character for each that a terminal would act upon."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else " "
        if character in "\t\r"
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415  # a MB, rarely needed

    return sum(
        0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1
        for character in text
    )
