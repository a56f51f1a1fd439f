"""Users' Python: ``module:attribute`` becomes an object, and is loaded anew when its file changes.

A module is looked for where Python looks for modules, and then in the folder of the configuration
file. What it imports from that folder belongs to it. When one of these files has changed, all of
them are loaded anew, beside the old: the old objects go on as they are, and if a new module can't
be loaded they stay what everybody imports, too.

A module that the program had loaded before (a program that embeds fairlead) is taken as it is.
Only if its file changes is it loaded anew, for fairlead alone; ``__main__`` never is.

Not here: what the object must be (`policy`, `health`), when to look for changes (`control`).
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

Stamp = tuple[int, int, int]
"""What tells one state of a file from another: modified, size, inode."""


class LoadError(Exception):
    """Something in Python can't be used. Becomes a `ConfigError` where its place is known.

    Attributes:
        found: What is wrong, as a phrase.
        expected: What would be right.
        hint: What to do, or ``None``.
    """

    def __init__(self, found: str, expected: str, hint: str | None = None) -> None:
        super().__init__(f"{found}: expected {expected}")
        self.found = found
        self.expected = expected
        self.hint = hint


class ImportFailedError(LoadError):
    """A module can't be imported."""


class Loaded(NamedTuple):
    """An object, and the module that it is from: another object after it was loaded anew."""

    value: Any
    module: ModuleType


def stamp_of(path: str) -> Stamp | None:
    """The stamp of a file; ``None`` if there is none."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


class Loader:
    """Loads what configurations name. Its methods may be called from any thread, one at a time."""

    def __init__(self) -> None:
        """Nothing is imported before it is asked for."""
        # What is in use, by name; of those, what we have imported, and what the program had.
        self._modules: dict[str, ModuleType] = {}
        self._ours: set[str] = set()
        self._programs: dict[str, tuple[ModuleType, Stamp | None]] = {}
        self.files: dict[str, Stamp | None] = {}

    def is_stale(self) -> bool:
        """Whether a file of what is in use has changed since it was read."""
        return any(stamp_of(path) != stamp for path, stamp in self.files.items())

    def load(self, names: Iterable[str], folder: str) -> dict[str, Loaded | LoadError]:
        """Load objects, each module once. If a file has changed, all modules are loaded anew.

        All, because modules that share a third one would otherwise come to share two of it. If one
        of them can't be imported, what was in use before stays in use.

        Args:
            names: ``module:attribute`` each.
            folder: Where modules may lie besides.

        Returns:
            For each name its object, or what is wrong with it.
        """
        if folder not in sys.path:
            sys.path.append(folder)
        before = dict(sys.modules)
        saved = dict(self._modules), set(self._ours), dict(self.files)
        if self.is_stale():
            for ours in self._ours:
                sys.modules.pop(ours, None)
            self._modules, self._ours, self.files = {}, set(), {}
        wrong: dict[str, LoadError] = {}
        found = {name: self._object(name, folder, wrong) for name in names}
        if wrong:
            _restore(before)
            self._modules, self._ours, self.files = saved
        return found

    def _object(self, name: str, folder: str, wrong: dict[str, LoadError]) -> Loaded | LoadError:
        module_name, _, attribute = name.partition(":")
        try:
            if module_name not in wrong and module_name not in self._modules:
                self._modules[module_name] = self._module(module_name, folder)
            module = self._modules.get(module_name)
            return wrong[module_name] if module is None else _attribute(module, attribute)
        except ImportFailedError as error:
            wrong[module_name] = error
            return error
        except LoadError as error:
            return error

    def _module(self, name: str, folder: str) -> ModuleType:
        known = sys.modules.get(name)
        if known is not None and name not in self._ours:
            file = None if name == "__main__" else getattr(known, "__file__", None)
            stamp = stamp_of(file) if isinstance(file, str) else None
            own, at_first = self._programs.setdefault(name, (known, stamp))
            if own is known and stamp == at_first:
                # The program's own: as it is, and only a change of its file makes another.
                self.files.update({file: stamp} if isinstance(file, str) else {})
                return known
        before = dict(sys.modules)
        sys.modules.pop(name, None)
        try:
            module = _import(name)
        except BaseException as error:
            _restore(before)
            if isinstance(error, KeyboardInterrupt):
                raise
            raise _explain(name, error, folder) from None
        beside = {
            other
            for other, each in sys.modules.items()
            if before.get(other) is not each and other != name and _lies_in(each, folder)
        }
        self.files.update(_files([sys.modules[other] for other in beside] + [module]))
        self._ours |= beside
        if name in self._programs:
            sys.modules[name] = self._programs[name][0]
        else:
            self._ours.add(name)
        return module


def _restore(modules: dict[str, ModuleType]) -> None:
    """Let imports find what they found before."""
    for new in sys.modules.keys() - modules.keys():
        del sys.modules[new]
    sys.modules.update(modules)


def _import(name: str) -> ModuleType:
    """Import a module from its source, as it is now.

    Compiled files are told from outdated ones by the second and the size, and an editor is faster.
    None is written, and so nothing appears in the folder of a configuration.
    """
    importlib.invalidate_caches()
    wrote, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        return importlib.import_module(name)
    finally:
        sys.dont_write_bytecode = wrote


def _lies_in(module: ModuleType, folder: str) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file).is_relative_to(folder)


def _files(modules: Iterable[ModuleType]) -> dict[str, Stamp | None]:
    paths = (getattr(module, "__file__", None) for module in modules)
    return {path: stamp_of(path) for path in paths if isinstance(path, str)}


def _attribute(module: ModuleType, path: str) -> Loaded:
    value: Any = module
    for part in path.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            file = getattr(module, "__file__", None)
            where = f"`{module.__name__}`" + (f" ({file})" if file else "")
            names = [name for name in vars(module) if not name.startswith("_")]
            raise LoadError(
                f"{where} has no `{path}`", "the name of something in it", _nearest(path, names)
            ) from None
    return Loaded(value, module)


def _explain(name: str, error: BaseException, folder: str) -> ImportFailedError:
    if isinstance(error, ModuleNotFoundError) and error.name and _is_part(error.name, name):
        known = [path.stem for path in Path(folder).glob("*.py")]
        hint = _nearest(name, known) or f"put `{name.split('.', maxsplit=1)[0]}.py` into {folder}"
        if name.endswith(".py"):
            hint = f"name the module, not its file: `{name.removesuffix('.py')}`"
        found = f"there is no module `{name}`"
        return ImportFailedError(found, f"a module that Python finds, or one in {folder}", hint)
    return ImportFailedError(
        f"`{name}` can't be imported: {describe(error)}", "a module that can be imported"
    )


def _is_part(missing: str, name: str) -> bool:
    return name == missing or name.startswith(f"{missing}.")


def _nearest(name: str, known: Iterable[str]) -> str | None:
    from fairlead.config.suggest import nearest  # noqa: PLC0415  # only where something is wrong

    found = nearest(name, list(known))
    return f"did you mean `{found}`?" if found else None


def describe(error: BaseException) -> str:
    """An exception in one line, with the place in the user's code: for logs, not for debuggers.

    >>> describe(ValueError("no such tier"))
    'ValueError: no such tier'
    >>> describe(KeyError("a:1"))
    "KeyError: 'a:1'"
    """
    lines = [line.strip() for line in f"{error}".splitlines() if line.strip()]
    text = type(error).__name__ + (f": {lines[0]}" if lines else "")
    if isinstance(error, SyntaxError):
        return f"{text.partition(' (')[0]} ({_short(error.filename or '')}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).parent)
    theirs = [
        frame
        for frame in frames
        if not frame.filename.startswith((ours, "<")) and "importlib" not in frame.filename
    ]
    if not theirs:
        return text
    last = theirs[-1]
    return f"{text} ({_short(last.filename)}:{last.lineno}, in {last.name})"


def _short(path: str) -> str:
    return Path(path).name
