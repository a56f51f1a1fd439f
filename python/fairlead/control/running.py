"""One running set-up: an engine, the configuration in force in it, wishes, events.

Everything here is plain calls without an event loop, because a start must not wait for one to be
imported. Whoever owns a `Running` calls it from one thread; only `use` may run in another, one at
a time, and wishes may come in while it does.

Not here: signals and the order of a start (`run`), what waits and repeats (`loop`), reading
configurations (`config`).
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

from fairlead.control.apply import apply
from fairlead.control.events import EventLog
from fairlead.control.members import Members
from fairlead.control.metrics import families, render
from fairlead.control.wishes import Wishes, configured
from fairlead.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fairlead.config.loaded import LoadedConfig
    from fairlead.control.code import Code, Prepared
    from fairlead.control.engine import Engine
    from fairlead.control.wishes import Configured, Name
    from fairlead.health.check import Check

FIRST_CHECKS_SECONDS = 0.15
"""So long a start waits at most for the first round of checks. A backend that is silent for
longer is started without: the checks go on, and traffic gets around it."""


class Running:
    """An engine and what is in force in it."""

    def __init__(self, engine: Engine, first: LoadedConfig) -> None:
        """Nothing happens before `start`.

        Args:
            engine: A fresh engine.
            first: The configuration to begin with.
        """
        self.engine = engine
        # What is in force: as configured, with what operators added and removed since.
        self.loaded = first
        self.events = EventLog()
        self.wishes = Wishes()
        # A reload tells the engine all wishes, in another thread than whoever wishes.
        self._wishing = threading.Lock()
        self.members = Members()
        self.configured = first.config
        self.stopping = False
        self.tell_code: Callable[[str, str, str], None] = lambda *_: None
        self.code: Code | None = None
        self._first_code = self.prepare(first)

    def prepare(self, loaded: LoadedConfig) -> Prepared | None:
        """Load the policies and checks in Python that a configuration names, if it names any.

        Takes as long as their imports do. Nothing of it is used before `use`.

        Raises:
            ConfigErrors: All that can't be used.
        """
        if self.code is None:
            if not loaded.has_python:
                return None
            from fairlead.control.code import Code

            self.code = Code(self.engine.sit_down, self._tell_code)
        return self.code.prepare(loaded)

    def start(self) -> None:
        """Bind all listeners and start probing; no client is let in yet.

        Raises:
            EngineError: An address can't be bound. Nothing runs then.
        """
        apply(self.engine, self.loaded.plan)
        self.use_code(self._first_code)

    def _tell_code(self, kind: str, pool: str, what: str) -> None:
        # Looked up when there is something to tell: by then there is a loop to tell it.
        self.tell_code(kind, pool, what)

    def use_code(self, prepared: Prepared | None) -> None:
        """Put what `prepare` answered in force."""
        if self.code is not None and prepared is not None:
            self.code.use(prepared)

    def checks(self) -> list[Check]:
        """The checks that run in Python."""
        from fairlead.health import command

        plan = json.loads(self.loaded.plan)
        checks: list[Check] = [*command.checks_of(self.loaded, plan)]
        if self.code is not None:
            from fairlead.health import function

            checks += function.checks_of(self.loaded, plan, self.code.functions)
        return checks

    def first_checks_seconds(self) -> float:
        """How long to wait for the first checks: 0 when nothing is checked."""
        checks = [pool.check for pool in self.loaded.config.pools.values()]
        timeouts = [check.timeout.total_seconds() for check in checks if check.type != "none"]
        return min(FIRST_CHECKS_SECONDS, max(timeouts, default=0.0))

    def open(self) -> None:
        """Wait for the first checks, bounded; then let clients in."""
        seconds = self.first_checks_seconds()
        if seconds:
            self.engine.wait_first_checks(seconds)
        self.engine.start_accepting()

    def use(self, loaded: LoadedConfig, code: Prepared | None = None) -> list[str]:
        """Go over to another configuration, all of it or nothing.

        Args:
            loaded: The configuration.
            code: Its policies and checks in Python, from `prepare`; left out, they stay.

        Returns:
            What became of wishes that don't fit any more, one line each.

        Raises:
            EngineError: An address can't be bound; everything is as it was.
        """
        self.take_over()
        if loaded.plan != self.loaded.plan:
            apply(self.engine, loaded.plan)
        self.loaded = loaded
        if not loaded.config.chaos.enabled:
            self.engine.end_chaos()
        self.use_code(code)
        with self._wishing:
            dropped = self.wishes.carry_over(_configured(loaded))
            self.wishes.apply(self.engine)
        return dropped

    def set_backend(self, pool: str, backend: str, state: str | None, weight: int | None) -> None:
        """Change what the operator wants of a backend. `KeyError` if there is none of the name."""
        with self._wishing:
            # First what was wished while Python was away: this wish is younger.
            self._take_over()
            self._wish(pool, backend, state, weight, _configured(self.loaded))

    def stand_in(self, number: int) -> int:
        """Have operators answered at this listening socket while Python is stuck.

        Returns:
            A descriptor that is readable while `take_over` is to be called.

        Raises:
            OSError: There are no descriptors or threads for it.
        """
        return self.engine.stand_in(number, self._about())

    def take_over(self) -> None:
        """Give the engine a sign of life, and remember what was wished while there was none.

        The wishes are in force, and told as events; here they come to hold over reloads.
        """
        with self._wishing:
            self._take_over()

    def _take_over(self) -> None:
        taken = self.engine.present(self._about())
        if not taken:
            # As a rule: it is called for each client of the control socket.
            return
        now = _configured(self.loaded)
        for pool, backend, state, weight in taken:
            if (pool, backend) in now:
                # The engine is told again: a reload that was under way meanwhile may have told it
                # of an older wish. What it knows already changes nothing.
                self._wish(pool, backend, state, weight, now)

    def _wish(
        self,
        pool: str,
        backend: str,
        state: str | None,
        weight: int | None,
        now: Mapping[Name, Configured],
    ) -> None:
        """Put a wish in force and remember it."""
        if state is not None:
            self.engine.set_state(pool, backend, state)
        if weight is not None:
            self.engine.set_weight(pool, backend, weight)
        name: Name = (pool, backend)
        self.wishes.add(name, now[name], state=state, weight=weight)

    def _about(self) -> bytes:
        """Whose status it is, as a JSON object."""
        ours = {
            "pid": os.getpid(),
            "version": version(),
            "config": self.loaded.source,
            "stopping": self.stopping,
        }
        return json.dumps(ours).encode()

    def status(self) -> bytes:
        """The engine's status and whose it is, as a JSON object.

        May be called in any thread. A thousand pools make megabytes, so it is text from end to
        end: to read it here and write it again would take longer than to make it.
        """
        return self.engine.status().rstrip().removesuffix(b"}") + b"," + self._about()[1:]

    def metrics(self, events: Mapping[str, int], *, openmetrics: bool) -> bytes:
        """Everything that is counted, as text for Prometheus. May be called in any thread.

        Args:
            events: How many there were of each kind.
            openmetrics: Which of the two dialects.
        """
        ours = families(version(), events)
        return render(self.engine.metrics(openmetrics), ours, openmetrics=openmetrics)

    def take_events(self) -> list[Event]:
        """Move the engine's events into the log; what came."""
        came = self.engine.take_events()
        told = [Event.from_json(json.loads(event)) for event in came]
        for event, read in zip(came, told, strict=True):
            self.events.add(event, read.kind)
        if any(event.kind in ("health", "chaos") for event in told):
            # Who watches a run of faults is to know when it was noticed, and a backend remembers
            # its last few changes only.
            self.engine.chaos()
        return told


def version() -> str:
    """The version of this fairlead."""
    from fairlead import _engine

    return _engine.VERSION


def _configured(loaded: LoadedConfig) -> dict[Name, Configured]:
    """What a configuration says of each backend."""
    return configured(
        (pool.name, backend.address, backend.state, backend.weight)
        for pool in loaded.value.pools
        for backend in pool.backends
    )
