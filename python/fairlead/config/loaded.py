"""A configuration that is ready to run: checked, resolved, and able to resolve its names again.

The one place where the steps are joined: text → tree → `Config` → `Plan`. What each step does is
decided in its own file. Whoever embeds fairlead starts here; so do the command line and a reload.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pathlib
import resource
from typing import TYPE_CHECKING

import msgspec

from fairlead.config.lower import lower, names
from fairlead.config.parse import parse
from fairlead.config.place import Source
from fairlead.config.read import is_yaml, read, read_token, read_toml
from fairlead.config.resolve import follow, system_resolver
from fairlead.config.schema import Backend, Config, Listener, Pool
from fairlead.config.spelling import is_named
from fairlead.config.write import write_toml
from fairlead.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fairlead.config.form import Path
    from fairlead.config.parse import Parsed
    from fairlead.config.place import Place
    from fairlead.config.resolve import Answer, Resolver
    from fairlead.config.tree import Grammars

__all__ = [
    "LoadedConfig",
    "check_backend",
    "descriptors",
    "load_config",
    "load_file",
    "load_parsed",
    "load_text",
    "memory",
    "parse_source",
]


_CGROUP = pathlib.Path("/sys/fs/cgroup/memory.max")


class LoadedConfig:
    """A configuration and the plan that it makes here and now.

    Attributes:
        config: What the user said, with all defaults.
        value: The plan, as a value.
        plan: The plan as the engine takes it, JSON.
        source: What the configuration is called: a path, or ``command line``.
        problems: Names that could not be resolved this time, and why not; their last good addresses
            stand in.
        admin_token: What has to be shown at the admin address; ``None`` if nothing.
    """

    def __init__(
        self,
        parsed: Parsed,
        source: str,
        resolver: Resolver,
        known: Mapping[str, Answer],
        problems: Mapping[str, str] | None = None,
    ) -> None:
        self.config = parsed.config
        self.source = source
        self._parsed = parsed
        self._resolver = resolver
        self.admin_token = _admin_token(parsed)
        self._answers, self.problems = follow(names(parsed.config), resolver, known, problems)
        self.value = lower(parsed.config, self._answers, descriptors(), parsed.places, memory())
        self.plan = self.value.encode()

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Names that could not be resolved this time."""
        return tuple(self.problems)

    @property
    def has_python(self) -> bool:
        """Whether it names anything in Python: a policy or a check."""
        pools = self.config.pools.values()
        return any(is_named(pool.policy) or pool.check.type == "python" for pool in pools)

    @property
    def places(self) -> Mapping[Path, Place]:
        """Where each value of the configuration stands in its text."""
        return self._parsed.places

    def resolve(self) -> LoadedConfig:
        """Resolve all names again. A name that has gone keeps its addresses.

        Takes up to five seconds; call it in a thread. Compare ``plan`` to see what it brought.
        """
        return LoadedConfig(self._parsed, self.source, self._resolver, self._answers)

    def with_config(self, config: Config) -> LoadedConfig:
        """The same with another `Config`, which must be right. Only names that are new are asked.

        Raises:
            ConfigErrors: A new name doesn't resolve.
        """
        # Where things stand in the text says nothing about what isn't in it.
        parsed = self._parsed._replace(config=config, places={})
        return LoadedConfig(parsed, self.source, self._resolver, self._answers, self.problems)

    def with_admin_of(self, other: LoadedConfig) -> LoadedConfig:
        """The same with another's `admin`.

        Raises:
            ConfigErrors: It has one of its own.
        """
        if self.config.admin is not None:
            place = self._parsed.places.get(("admin",))
            found = "`admin` can't be changed from within"
            hint = "change it in the file, and reload"
            error = ConfigError("admin.within", found, "a configuration without it", place, hint)
            raise ConfigErrors([error])
        self.config = msgspec.structs.replace(self.config, admin=other.config.admin)
        self._parsed = self._parsed._replace(config=self.config)
        self.admin_token = other.admin_token
        return self

    def again(self, parsed: Parsed, source: str) -> LoadedConfig:
        """Another configuration in the place of this one: names keep addresses that were good."""
        return LoadedConfig(parsed, source, self._resolver, self._answers)


def load_file(
    path: str | os.PathLike[str],
    grammars: Grammars,
    *,
    previous: LoadedConfig | None = None,
    resolver: Resolver = system_resolver,
) -> LoadedConfig:
    """Load a file.

    Args:
        path: A file in TOML, or in YAML if it ends in .yaml or .yml.
        grammars: The module ``fairlead._engine``.
        previous: What ran until now: its names keep their addresses if they don't resolve.
        resolver: Asked for each name, in threads.

    Raises:
        ConfigErrors: Everything that is wrong with it.
    """
    return _load_source(read(path), grammars, previous, resolver)


def load_text(
    text: str,
    grammars: Grammars,
    *,
    source: str = "<text>",
    previous: LoadedConfig | None = None,
    resolver: Resolver = system_resolver,
) -> LoadedConfig:
    """Like `load_file`, for a text. ``source`` is what errors call it; its ending tells YAML."""
    return _load_source(Source(source, text), grammars, previous, resolver)


def load_config(
    config: Config,
    grammars: Grammars,
    *,
    previous: LoadedConfig | None = None,
    resolver: Resolver = system_resolver,
) -> LoadedConfig:
    """Load a configuration made in Python, checked like a file.

    It is written out as text and read back, so errors show the place in that text, and values may
    be texts in a file's spelling.
    """
    return _load_source(Source("<Config>", write_toml(config)), grammars, previous, resolver)


def check_backend(backend: str | Backend, grammars: Grammars) -> Backend:
    """A backend as a file could have it, checked like one.

    Raises:
        ConfigErrors: What is wrong with it.
    """
    # A text is a backend to whoever writes and reads the file.
    pool = Pool(backends=(backend,))  # type: ignore[arg-type]
    listener = Listener(bind=("127.0.0.1:0",), pool="pool")
    config = Config(listeners={"listener": listener}, pools={"pool": pool})
    parsed = parse_source(Source("<Backend>", write_toml(config)), grammars)
    return parsed.config.pools["pool"].backends[0]


def load_parsed(
    parsed: Parsed,
    source: str,
    *,
    previous: LoadedConfig | None = None,
    resolver: Resolver = system_resolver,
) -> LoadedConfig:
    """Load what was parsed already, such as a command line."""
    if previous is not None:
        return previous.again(parsed, source)
    return LoadedConfig(parsed, source, resolver, {})


def parse_source(source: Source, grammars: Grammars) -> Parsed:
    """Read a text without resolving its names.

    Raises:
        ConfigErrors: Everything that is wrong with it.
    """
    with _no_collections():
        if is_yaml(source.name):
            # PyYAML takes longer to import than most files take to read.
            from fairlead.config.read_yaml import read_yaml  # noqa: PLC0415

            tree, syntax = read_yaml(source)
        else:
            tree, syntax = read_toml(source, grammars)
        return parse(tree, grammars, syntax)


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Keep the garbage collector from walking the growing tree again and again.

    Nothing of it is garbage; of a file with 100,000 pools the walks took two thirds of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _load_source(
    source: Source, grammars: Grammars, previous: LoadedConfig | None, resolver: Resolver
) -> LoadedConfig:
    parsed = parse_source(source, grammars)
    return load_parsed(parsed, source.name, previous=previous, resolver=resolver)


def _admin_token(parsed: Parsed) -> str | None:
    """What has to be shown at the admin address."""
    admin = parsed.config.admin
    if admin is None or admin.token_file is None:
        return admin.token if admin else None
    return read_token(admin.token_file, parsed.places.get(("admin", "token_file")))


def memory() -> int | None:
    """Bytes of memory that this machine or container has, if that can be found out."""
    found = []
    with contextlib.suppress(OSError, ValueError):
        found.append(int(_CGROUP.read_text(encoding="ascii")))
    with contextlib.suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def descriptors() -> int:
    """How many files this process may have open: the engine raises the soft limit to the hard."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if hard == resource.RLIM_INFINITY else hard
