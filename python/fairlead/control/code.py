"""Users' Python in force: the policies and checks that a configuration names.

Rules of this file
1. Everything is loaded and looked at before anything changes; what is wrong is told with its
   place, all of it at once, and what is in force stays.
2. What a reload leaves as it was (the same name, the same file) goes on as the same object.
3. A change of a file is seen by looking, twice a second, and used when the file has rested for one
   look: an editor may write it in pieces.

Not here: how modules are loaded (`loader`), how policies and checks run (`policy`, `health`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fairlead.config.spelling import is_named
from fairlead.errors import ConfigError, ConfigErrors
from fairlead.loader import Loaded, Loader, LoadError, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fairlead.config.form import Path as Where
    from fairlead.config.loaded import LoadedConfig
    from fairlead.health.function import Function
    from fairlead.loader import Stamp
    from fairlead.policy.policies import Made
    from fairlead.policy.runner import Seat


class Named(NamedTuple):
    """Something in Python that a configuration names, and where."""

    pool: str
    name: str
    kind: str
    where: tuple[Where, ...]


class Prepared(NamedTuple):
    """All that is needed to put a configuration's Python in force."""

    loaded: dict[str, Loaded]
    policies: dict[str, Made]
    functions: dict[str, Function]


def named(loaded: LoadedConfig) -> Iterator[Named]:
    """What a configuration names in Python, pool by pool."""
    for pool, each in loaded.config.pools.items():
        if is_named(each.policy):
            yield Named(
                pool,
                each.policy,
                "policy",
                (
                    ("pools", pool, "policy"),
                    ("defaults", "policy"),
                    ("defaults", "pools", "policy"),
                ),
            )
        if each.check.type == "python" and each.check.function:
            yield Named(
                pool,
                each.check.function,
                "check",
                (
                    ("pools", pool, "check", "function"),
                    ("defaults", "check", "function"),
                    ("defaults", "pools", "check", "function"),
                ),
            )


class Code:
    """The Python in force for one running fairlead.

    Attributes:
        functions: The check functions in force, by pool.
    """

    def __init__(
        self, sit_down: Callable[[str, bool], Seat], tell: Callable[[str, str, str], None]
    ) -> None:
        """Nothing is loaded before `prepare`.

        Args:
            sit_down: Gives the place at the desk of a pool's policy.
            tell: Tells what is wrong with something: kind, pool, what. Called in any thread.
        """
        from fairlead.policy.policies import Policies

        self._loader = Loader()
        self._policies = Policies(sit_down)
        self._tell = tell
        self._loaded: dict[str, Loaded] = {}
        self.functions: dict[str, Function] = {}
        self._looked: dict[str, Stamp | None] = {}
        self._failed: dict[str, Stamp | None] | None = None

    def prepare(self, loaded: LoadedConfig) -> Prepared:
        """Load what a configuration names, as its files are now. May take as long as imports do.

        Raises:
            ConfigErrors: All that can't be used.
        """
        wanted = list(named(loaded))
        found = self._loader.load([each.name for each in wanted], folder_of(loaded))
        made = Prepared({}, {}, {})
        errors = []
        for each in wanted:
            try:
                self._make(each, found[each.name], made)
            except LoadError as error:
                errors.append(_config_error(error, each, loaded))
        if errors:
            raise ConfigErrors(errors)
        return made

    def _make(self, each: Named, loaded: Loaded | LoadError, into: Prepared) -> None:
        from fairlead.health.function import as_function
        from fairlead.policy.policies import make

        if isinstance(loaded, LoadError):
            raise loaded
        before = self._loaded.get(each.name)
        same = before is not None and before.module is loaded.module
        into.loaded[each.name] = loaded
        if each.kind == "policy":
            policy = self._policies.made(each.pool)
            if policy is None or policy.name != each.name or not same:
                policy = make(each.name, loaded.value)
            into.policies[each.pool] = policy
            return
        function = self.functions.get(each.pool)
        if function is None or function.name != each.name or not same:
            pool = each.pool
            function = as_function(
                each.name, loaded.value, lambda what: self._tell("check", pool, what)
            )
        into.functions[each.pool] = function

    def use(self, prepared: Prepared) -> None:
        """Put it in force; the engine follows the same configuration already."""
        leaving = [
            function
            for pool, function in self.functions.items()
            if prepared.functions.get(pool) is not function
        ]
        self._loaded = prepared.loaded
        self.functions = prepared.functions
        self._looked = {}
        self._failed = None
        self._policies.use(prepared.policies)
        for function in leaving:
            function.stop()

    def keep_at_work(self) -> None:
        """See that each policy has a thread that asks it."""
        self._policies.keep_at_work()

    def stop(self) -> None:
        """Let nothing run any more; nothing is waited for."""
        self.use(Prepared({}, {}, {}))

    def objects(self) -> set[tuple[str, int]]:
        """What is in force: each name with a number that is another after a change."""
        return {(name, id(each.module)) for name, each in self._loaded.items()}

    @property
    def in_use(self) -> bool:
        """Whether there is anything."""
        return bool(self._loaded)

    def has_changed(self) -> bool:
        """Look at the files: whether one has changed, and has rested since the last look.

        A change that could not be used is not told again before the next one.
        """
        stamps = {path: stamp_of(path) for path in self._loader.files}
        rested = stamps == self._looked
        self._looked = stamps
        return self._loader.is_stale() and rested and stamps != self._failed

    def note_failed(self) -> None:
        """Remember that the files as they are now can't be used."""
        self._failed = dict(self._looked)


def prepare_once(loaded: LoadedConfig) -> None:
    """Look whether a configuration's Python can be used, and use none of it.

    Raises:
        ConfigErrors: All that can't be used.
    """

    def nobody(_pool: str, _picks: bool) -> Seat:  # noqa: FBT001  # as the engine has it
        raise KeyError

    Code(nobody, lambda *_: None).prepare(loaded)


def folder_of(loaded: LoadedConfig) -> str:
    """Where modules may lie besides: the folder of the file; without one the current folder."""
    file = Path(loaded.source)
    return str(file.resolve().parent) if file.is_file() else os.getcwd()  # noqa: PTH109  # as sys.path has it


def _config_error(error: LoadError, each: Named, loaded: LoadedConfig) -> ConfigError:
    place = next((loaded.places[at] for at in each.where if at in loaded.places), None)
    return ConfigError(f"{each.kind}.python", error.found, error.expected, place, error.hint)
