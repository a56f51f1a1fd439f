"""What named tuples and data classes are for, without their imports.

`-c` and `-i` are called from scripts, often, and the modules that offer these take as long to
import as Python itself takes to start: 10 ms each. Nothing is decided here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

__all__ = ["Value"]


class Value:
    """Named values that don't change, equal if all of them are.

    A class derived from it declares them as a data class does; those with a default may be left
    out.

    Example:
        >>> class Place(Value):
        ...     host: str
        ...     port: int = 25
        >>> Place("mail").port, Place("mail") == Place(host="mail", port=25)
        (25, True)
        >>> Place("mail").replace(port=80).port
        80
    """

    def __init__(self, *values: object, **fields: object) -> None:
        """Take the values, in order or by name."""
        names = type(self).__annotations__
        given = dict(zip(names, values, strict=False)) | fields
        missing = [name for name in names if name not in given and not hasattr(type(self), name)]
        if len(values) > len(names) or given.keys() - names.keys() or missing:
            raise TypeError(f"{type(self).__name__} has {', '.join(names)}")
        self.__dict__.update(given)

    def replace(self, **fields: object) -> Self:
        """The same, but for these."""
        return type(self)(**{**self.__dict__, **fields})

    def __eq__(self, other: object) -> bool:
        names = type(self).__annotations__
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in names
        )

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in type(self).__annotations__))

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in type(self).__annotations__)
        return f"{type(self).__name__}({', '.join(shown)})"
