"""Backends that operators added and removed at run time.

They are wishes like any other: they hold over reloads, so that a SIGHUP that only rotates logs
takes nobody away. They end with the process, or when the configuration itself says something about
that backend: an added one that it has now is the configuration's; a removed one whose row it
changes is back; and what it says of a pool that is gone counts for everything in it.

A value: each change makes a new one, which replaces the old once the engine follows it.

Not here: how a configuration comes into force (`reload`), states and weights (`wishes`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from fairlead.config.schema import Backend, Config
    from fairlead.control.wishes import Name


@dataclass(frozen=True, slots=True)
class Members:
    """What was added and removed.

    Attributes:
        added: Backends beside those of the configuration.
        removed: Backends of the configuration that are left out, as they stand there.
    """

    added: dict[Name, Backend] = field(default_factory=dict)
    removed: dict[Name, Backend] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.added or self.removed)

    def add(self, pool: str, backend: Backend) -> Members:
        """With this backend in this pool."""
        name: Name = (pool, backend.address)
        removed = {key: row for key, row in self.removed.items() if key != name}
        if backend == self.removed.get(name):
            return replace(self, removed=removed)
        if name in self.removed:
            # Added again, but otherwise than configured: the configured one stays out.
            removed = self.removed
        return Members({**self.added, name: backend}, removed)

    def remove(self, pool: str, address: str, config: Config) -> Members:
        """Without the backend of this address."""
        name: Name = (pool, address)
        added = {key: row for key, row in self.added.items() if key != name}
        row = _find(config, name)
        removed = self.removed if row is None else {**self.removed, name: row}
        return Members(added, removed)

    def fit(self, config: Config) -> tuple[Members, list[str]]:
        """Those that still hold beside a new configuration, and what became of the others."""
        told = []
        added = {}
        for name, backend in self.added.items():
            if name[0] not in config.pools:
                told.append(f"{_shown(name)} is gone with its pool: it was added at run time")
            elif _find(config, name) is not None and name not in self.removed:
                told.append(f"{_shown(name)} was added at run time and is in the configuration now")
            else:
                added[name] = backend
        removed = {}
        for name, row in self.removed.items():
            now = _find(config, name)
            if now == row:
                removed[name] = row
            elif now is not None:
                told.append(f"{_shown(name)} was changed in the configuration: it is back")
                added.pop(name, None)
        return Members(added, removed), told

    def apply(self, config: Config) -> Config:
        """The configuration with these changes."""
        if not self:
            return config
        pools = {
            name: msgspec.structs.replace(
                pool,
                backends=(
                    *(row for row in pool.backends if (name, row.address) not in self.removed),
                    *(row for (of, _), row in self.added.items() if of == name),
                ),
            )
            for name, pool in config.pools.items()
        }
        return msgspec.structs.replace(config, pools=pools)


def _find(config: Config, name: Name) -> Backend | None:
    pool = config.pools.get(name[0])
    rows = pool.backends if pool is not None else ()
    return next((row for row in rows if row.address == name[1]), None)


def _shown(name: Name) -> str:
    return f"{name[0]}/{name[1]}"
