"""What can go wrong, as types: each says what was found, where, and what would have been right.

This file decides how an error reads without colour. Which errors exist in a configuration is
decided in ``config``; how they look on a terminal in ``cli/output.py``. Nothing here imports
anything of ours: every part of the package may raise these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from fairlead.config.place import Place

__all__ = [
    "ConfigError",
    "ConfigErrors",
    "ControlError",
    "EngineError",
    "FairleadError",
    "ReloadError",
]


_LONGEST = 300


class FairleadError(Exception):
    """Anything that fairlead tells its user on purpose. Whatever else escapes is a bug."""


class ConfigError(FairleadError):
    """One thing that is wrong with a configuration.

    Attributes:
        code: What kind of mistake, stable over versions: ``duration.form``, ``key.unknown``.
        found: What stands there, as a phrase: ``"`5` is not a duration"``.
        expected: What should stand there: ``a whole number and ms, s, m or h``.
        place: Where. ``None`` where there is no text, as for a file that can't be opened.
        hint: What to do about it, or ``None``.
    """

    def __init__(
        self, code: str, found: str, expected: str, place: Place | None, hint: str | None = None
    ) -> None:
        super().__init__(code, found, expected, place, hint)
        self.code = code
        self.found = _fit(found)
        self.expected = expected
        self.place = place
        self.hint = _fit(hint) if hint else None

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        what = f"{self.found}: expected {self.expected}" if self.expected else self.found
        return where + what

    def render(self) -> str:
        """The error in full: the line it is about, the place underlined, what was expected.

        Ends without a line break. Needs no colour to be understood.
        """
        if self.place is None:
            lines = [f"error[{self.code}]: {self}"]
        else:
            lines = [f"error[{self.code}]: {self.found}", *self.place.frame(self._expectation())]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def _expectation(self) -> str:
        return f"expected {self.expected}" if self.expected else ""


def _fit(text: str) -> str:
    """The text as one line of bounded length that no terminal acts upon.

    Messages quote what a file says, and a file may say anything.
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 40]}…{text[-39:]}"
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


class ConfigErrors(FairleadError, ExceptionGroup[ConfigError]):  # noqa: N818  # several
    """All that is wrong with one configuration, in the order of the text.

    A group, so that ``except* ConfigError`` works; its text is what a person should read.
    """

    def __new__(cls, errors: Sequence[ConfigError]) -> Self:
        """Make the group, in the order of the text; its message counts the errors."""
        count = len(errors)
        ordered = sorted(errors, key=_position)
        return super().__new__(cls, f"{count} error{'s' if count > 1 else ''}", ordered)

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__(self.message, errors)

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        """The errors, in the order of the text."""
        return self.exceptions  # type: ignore[return-value]  # made from ConfigErrors only

    def derive(self, excs: Sequence[ConfigError]) -> ConfigErrors:  # type: ignore[override]
        """Keep the type when ``except*`` takes a group apart."""
        return ConfigErrors(excs)

    def __str__(self) -> str:
        return "\n\n".join([*(error.render() for error in self.errors), self.message])


def _position(error: ConfigError) -> tuple[int, int]:
    return (error.place.start, error.place.end) if error.place else (-1, -1)


class ControlError(FairleadError):
    """A running instance could not be reached, or refused what was asked of it.

    Attributes:
        hint: What to do about it, or ``None``.
        code: The refusal's code in the API, or ``None`` without an answer.
    """

    def __init__(self, message: str, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


class EngineError(FairleadError):
    """The engine can't do what a plan asks for: a port is in use, a path can't be bound.

    Attributes:
        hint: What to do about it, or ``None``.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ReloadError(FairleadError):
    """A reload that changed nothing.

    Attributes:
        code: ``config`` (it is wrong), ``bind`` (an address can't be had), ``stopping``.
        hint: What to do about it, or ``None``.
        errors: All that is wrong with the configuration, if it is that.
        first: The first thing that is wrong, in one line.
    """

    def __init__(
        self,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        errors: ConfigErrors | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.errors = errors
        self.first = str(errors.errors[0]) if errors else message.partition("\n")[0]
