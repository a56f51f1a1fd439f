"""Tree to `Config`: the way from text to values that can't be wrong, every error collected.

Decides the order of things: defaults first, then the file's tables, then what must hold between
them (`rules`). What single values and tables look like is decided by their forms in `schema`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from fairlead.config import rules
from fairlead.config.form import Reading, TooManyErrors
from fairlead.config.schema import (
    CONFIG,
    DEFAULTS,
    LISTENER_DEFAULTS,
    POOL_DEFAULTS,
    Check,
    Config,
    Limits,
    Listener,
    ListenerDefaults,
    ListenerTimeouts,
    Outlier,
    Pool,
    PoolDefaults,
    PoolTimeouts,
    Retry,
)
from fairlead.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.config.form import Path
    from fairlead.config.place import Place
    from fairlead.config.schema import Defaults
    from fairlead.config.tree import Grammars, Node

__all__ = ["Parsed", "parse"]


class Parsed(NamedTuple):
    """A configuration without mistakes, and where each of its values stands in the text."""

    config: Config
    places: dict[Path, Place]


def parse(tree: Node, grammars: Grammars, syntax: Sequence[ConfigError] = ()) -> Parsed:
    """Read a whole configuration.

    Args:
        tree: The text's tree, as far as it could be understood.
        grammars: What is read by native code.
        syntax: What is wrong with the text itself.

    Raises:
        ConfigErrors: All that is wrong, in the order of the text. If the text itself is broken,
            what is said to be missing may just not have been understood, so only mistakes of
            values that are there are told with it.
    """
    reading = Reading(grammars)
    config = None
    try:
        for error in syntax:
            reading.report(error)
        _read_defaults(tree, reading)
        config = CONFIG.read(tree, reading, ())
        if not syntax:
            rules.check(config, reading)
    except TooManyErrors:
        reading.errors.append(_stopped(tree))
    except ConfigError as error:
        reading.errors.append(error)
    errors = reading.errors
    if syntax:
        errors = [error for error in errors if _holds_in_broken_text(error, syntax)]
    if errors or config is None:
        raise ConfigErrors(errors)
    return Parsed(config, reading.places)


def _read_defaults(tree: Node, reading: Reading) -> None:
    """Read ``[defaults]`` and make it hold where tables don't say otherwise.

    What stands there for pools or for listeners alone counts for more than what stands there for
    both: it is read on top of it.
    """
    node = _child(tree, "defaults")
    if node is None:
        return
    try:
        reading.bases.update(_bases(DEFAULTS.read(node, reading, ("defaults",))))
        of_pools, of_listeners = _child(node, "pools"), _child(node, "listeners")
        if of_pools is not None:
            pool = POOL_DEFAULTS.read(of_pools, reading, ("defaults", "pools"))
            reading.bases.update(_pool_bases(pool))
        if of_listeners is not None:
            listener = LISTENER_DEFAULTS.read(of_listeners, reading, ("defaults", "listeners"))
            reading.bases.update(_listener_bases(listener))
    except ConfigError as error:
        reading.report(error)


def _child(table: Node, name: str) -> Node | None:
    """The first value of this name, if it can be read."""
    if table.kind != "table":
        return None
    nodes = (entry.node for entry in table.value if entry.key == name)
    return next((node for node in nodes if node.kind != "broken"), None)


Bases = dict[type, dict[str, Any]]


def _bases(defaults: Defaults) -> Bases:
    """What the keys that stand in ``[defaults]`` itself make hold."""
    given = {
        name: value
        for name, value in msgspec.structs.asdict(defaults.timeouts).items()
        if value is not None
    }
    of_pools = {name: given[name] for name in PoolTimeouts.__struct_fields__ if name in given}
    of_listeners = {
        name: given[name] for name in ListenerTimeouts.__struct_fields__ if name in given
    }
    return {
        **_pool_bases(
            PoolDefaults(
                policy=defaults.policy,
                hash_on=defaults.hash_on,
                check=defaults.check,
                timeouts=PoolTimeouts(**of_pools),
                retry=defaults.retry,
                outlier=defaults.outlier,
                slow_start=defaults.slow_start,
            )
        ),
        **_listener_bases(
            ListenerDefaults(
                timeouts=ListenerTimeouts(**of_listeners),
                limits=defaults.limits,
                trusted_proxies=defaults.trusted_proxies,
                via=defaults.via,
            )
        ),
    }


def _pool_bases(defaults: PoolDefaults) -> Bases:
    values = msgspec.structs.asdict(defaults)
    return {
        Pool: values,
        PoolDefaults: values,
        Check: msgspec.structs.asdict(defaults.check),
        PoolTimeouts: msgspec.structs.asdict(defaults.timeouts),
        Retry: msgspec.structs.asdict(defaults.retry),
        Outlier: msgspec.structs.asdict(defaults.outlier),
    }


def _listener_bases(defaults: ListenerDefaults) -> Bases:
    values = msgspec.structs.asdict(defaults)
    return {
        Listener: values,
        ListenerDefaults: values,
        ListenerTimeouts: msgspec.structs.asdict(defaults.timeouts),
        Limits: msgspec.structs.asdict(defaults.limits),
    }


def _stopped(tree: Node) -> ConfigError:
    """What stands behind the last error that is told, where there may be others."""
    source = tree.place.source
    end = source.place(len(source.data), len(source.data))
    return ConfigError("errors.many", "there may be more: reading stopped", "", end)


def _start(error: ConfigError) -> int:
    return error.place.start if error.place else -1


def _holds_in_broken_text(error: ConfigError, syntax: Sequence[ConfigError]) -> bool:
    """Whether an error can be trusted although the text couldn't be understood whole.

    What is missing may stand in a line that is broken; and after a broken header keys seem to
    belong to another table, so from the first broken place on unknown ones don't count.
    """
    if error.code in ("key.missing", "list.empty"):
        return False
    if error in syntax:
        return True
    starts = [_start(each) for each in syntax]
    place = error.place
    if place and any(place.start <= start < max(place.end, place.start + 1) for start in starts):
        return False  # what is no TOML needn't be a name or a value, too
    return error.code != "key.unknown" or _start(error) < min(starts)
