"""What goes on beside the traffic: events, the control socket, checks in Python, names, reloads.

All of it in one event loop, and nothing in it polls but for changes of users' Python, where there
is any: with no event and nobody asking it sleeps in the kernel. The engine doesn't need it; if this loop dies or hangs, traffic goes on.

Not here: the start and the signals (`run`), what each part does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fairlead.control import chaos, paths
from fairlead.control.api import Api
from fairlead.control.guard import Access
from fairlead.control.http import ApiError
from fairlead.control.reload import Reloader
from fairlead.control.socket import Door
from fairlead.control.thread import in_thread
from fairlead.control.wants import wrong_config
from fairlead.discovery.dns import Names, has_names
from fairlead.errors import ReloadError
from fairlead.health.repeat import Checks
from fairlead.tasks import for_ever
from fairlead.words import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fairlead.config.loaded import LoadedConfig
    from fairlead.config.schema import Backend, Config
    from fairlead.control.chaos import Wanted
    from fairlead.control.code import Code
    from fairlead.control.members import Members
    from fairlead.control.paths import Listening
    from fairlead.control.running import Running
    from fairlead.event import Event
    from fairlead.model import Json

LOOK_SECONDS = 0.5
"""Between two looks at the files of policies and checks in Python."""

_UNTOLD = frozenset(("applied",))
_STATUS = {"config": 422, "bind": 409, "stopping": 409}


class ControlLoop:
    """The control plane of one running fairlead. Made and used inside an event loop."""

    def __init__(
        self,
        running: Running,
        load: Callable[[], LoadedConfig],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            running: What is controlled.
            load: Reads the configuration again.
            say: Says a line to people; must not block.
        """
        self.running = running
        self.events = running.events
        self._say = say
        self._api = Api(self)
        self._doors: list[Door] = []
        self._admin: Door | None = None
        self._asked: int | None = None
        self._reloader = Reloader(running, load, self._prepare, self._tell_own)
        self._checks = Checks(running.engine.report_check, say)
        self._names: asyncio.Task[None] | None = None
        self._followed: Names | None = None
        self._code: asyncio.Task[None] | None = None
        running.tell_code = lambda kind, pool, what: self._tell_own(kind, pool=pool, what=what)

    @property
    def stopping(self) -> bool:
        """Whether a stop has begun."""
        return self.running.stopping

    # -- life ------------------------------------------------------------------------------

    async def start(self, control: Listening | None, admin: Listening | None) -> None:
        """Begin: answer on what is bound already, run checks, follow names, pass events on."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.running.engine.event_fd(), self._pass_events_on)
        if control is not None:
            self._have_stand_in(control)
        for listening in (control, admin):
            if listening is not None:
                access = access_of(self.running.loaded) if listening is admin else Access()
                door = Door(self._api, listening, access)
                door.open()
                self._doors.append(door)
                self._admin = door if listening is admin else self._admin
        self._follow()
        # What happened before anybody was there to hear it.
        self._pass_events_on()

    async def first_checks(self) -> None:
        """Wait for the first round of checks in Python and in the engine, bounded."""
        running = self.running
        seconds = running.first_checks_seconds()
        waiting = in_thread(lambda: running.engine.wait_first_checks(seconds))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(self._checks.wait_first(), waiting)
        except TimeoutError:
            return

    async def stop(self, why: str) -> bool:
        """Stop gracefully: connections finish within the shutdown time-out, then all ends.

        Returns:
            Whether all connections ended by themselves.
        """
        running = self.running
        running.stopping = True
        running.take_over()
        self.events.tell("stopping", why=why)
        self._checks.stop()
        if self._names is not None:
            self._names.cancel()
        timeout = running.loaded.config.shutdown_timeout.total_seconds()
        finished = await in_thread(lambda: running.engine.stop(timeout))
        if self._code is not None:
            self._code.cancel()
        if running.code is not None:
            running.code.stop()
        self._pass_events_on()
        asyncio.get_running_loop().remove_reader(running.engine.event_fd())
        if self._asked is not None:
            asyncio.get_running_loop().remove_reader(self._asked)
        for door in self._doors:
            door.close()
        return finished

    def _have_stand_in(self, control: Listening) -> None:
        """Let the engine answer at the control socket whenever this loop doesn't for a second."""
        try:
            self._asked = self.running.stand_in(control.socket.fileno())
        except OSError as error:
            self._say(f"nobody answers at the control socket while Python is stuck: {error}")
            return
        asyncio.get_running_loop().add_reader(self._asked, self.running.take_over)

    def _stand_at_admin(self) -> None:
        """Let the engine tell health at the admin address as it is now."""
        door = self._admin
        number = door.number if door is not None else None
        hosts = sorted(door.access.hosts) if door is not None else []
        try:
            self.running.engine.stand_at(number, hosts)
        except OSError as error:
            self._say(f"nobody answers at the admin address while Python is stuck: {error}")

    def close_doors(self) -> None:
        """Let nobody find the socket any more; for an end that can't wait."""
        for door in self._doors:
            door.close()

    # -- what the API offers ---------------------------------------------------------------

    async def status(self) -> bytes:
        """Everything, as JSON. The loop goes on meanwhile."""
        return await in_thread(self.running.status)

    def pool_status(self, name: str) -> bytes | None:
        """One pool, as JSON; ``None`` if there is none."""
        return self.running.engine.pool_status(name)

    def pool_names(self) -> list[str]:
        """The names of all pools."""
        return list(self.running.loaded.config.pools)

    async def metrics(self, *, openmetrics: bool) -> bytes:
        """Everything that is counted, as text for Prometheus."""
        events = dict(self.events.counts)
        return await in_thread(lambda: self.running.metrics(events, openmetrics=openmetrics))

    @property
    def has_token(self) -> bool:
        """Whether the admin address wants a token."""
        return self.running.loaded.admin_token is not None

    async def add_backend(self, pool: str, backend: Backend) -> None:
        """Add a backend to a pool; `ApiError` if that can't be."""
        await _or_refused(self.add_backend_now(pool, backend))

    async def remove_backend(self, pool: str, backend: str) -> None:
        """Remove a backend from a pool; `ApiError` if that can't be."""
        await _or_refused(self.remove_backend_now(pool, backend))

    async def add_backend_now(self, pool: str, backend: Backend) -> list[str]:
        """Add a backend to a pool; the steps taken. Raises `ReloadError`."""
        return await self._change_members(lambda members, _: members.add(pool, backend))

    async def remove_backend_now(self, pool: str, backend: str) -> list[str]:
        """Remove a backend from a pool; the steps taken. Raises `ReloadError`."""
        return await self._change_members(
            lambda members, config: members.remove(pool, backend, config)
        )

    async def _change_members(self, change: Callable[[Members, Config], Members]) -> list[str]:
        steps = await self._reloader.change_members(change)
        for step in steps:
            self._say(f"asked for: {step}")
        self._follow()
        return steps

    def config_text(self) -> str:
        """The configuration in force as TOML, without its admin address and the token."""
        import msgspec

        from fairlead.config.write import write_toml

        return write_toml(msgspec.structs.replace(self.running.loaded.config, admin=None))

    async def plan_config(self, text: str, *, yaml: bool) -> list[str]:
        """What would change with this configuration; `ApiError` if it can't be used."""
        return await _or_refused(self._reloader.plan(self._load_text(text, yaml=yaml)))

    async def use_config(self, text: str, *, yaml: bool) -> list[str]:
        """Use this configuration until the next reload; `ApiError` if that can't be."""
        steps = await _or_refused(self._reloader.use(self._load_text(text, yaml=yaml)))
        self._used(steps)
        return steps

    def _load_text(self, text: str, *, yaml: bool) -> Callable[[], LoadedConfig]:
        def load() -> LoadedConfig:
            from fairlead import _engine
            from fairlead.config.loaded import load_text

            now = self.running.loaded
            name = "body.yaml" if yaml else "body.toml"
            loaded = load_text(text, _engine, source=name, previous=now)
            return loaded.with_admin_of(now)

        return load

    def set_backend(self, pool: str, backend: str, state: str | None, weight: int | None) -> None:
        """Change what the operator wants of a backend."""
        self.running.set_backend(pool, backend, state, weight)

    async def play_chaos(self, wanted: Wanted) -> Json:
        """Play faults at a backend; what there is to say of it."""
        return await in_thread(lambda: chaos.play(self.running, wanted))

    async def end_chaos(self) -> Json:
        """End what is played, if anything is; what there is to say of it."""
        return await in_thread(lambda: chaos.end(self.running))

    async def chaos(self) -> Json:
        """What is or was played last, and what came of it."""
        return await in_thread(lambda: chaos.report(self.running))

    async def reload(self) -> list[str]:
        """Reload for the API: what went wrong becomes an answer."""
        return await _or_refused(self.reload_now())

    async def reload_now(self) -> list[str]:
        """Reload, and say to people what came of it. Raises `ReloadError`."""
        # Whoever rotates logs asks in this way, too, and a mistake in the configuration is no
        # reason to go on in the old file.
        self.running.engine.reopen_log()
        try:
            steps = await self._reloader.reload()
        except ReloadError as error:
            self._say(f"reload failed, the old configuration stays in force\n{error}")
            raise
        self._used(steps)
        return steps

    def _used(self, steps: list[str]) -> None:
        """Say to people what came of another configuration, and follow it."""
        for step in steps:
            self._say(f"reload: {step}")
        self._say(f"reloaded: {counted(len(steps), 'change')}")
        self._follow()

    async def change(self, make: Callable[[LoadedConfig], LoadedConfig]) -> None:
        """Go over to another configuration made of the one in force; see `Reloader.change`."""
        await self._reloader.change(make)
        self._follow()

    # -- inside ----------------------------------------------------------------------------

    def _pass_events_on(self) -> None:
        for event in self.running.take_events():
            self._tell(event)

    def _tell(self, event: Event) -> None:
        if event.kind == "health" and self._followed is not None:
            self._followed.note(event.pool, event.backend, event.detail.get("to", ""))
        if event.kind not in _UNTOLD:
            self._say(event.text)

    def _tell_own(self, kind: str, **fields: str) -> None:
        self._tell(self.events.tell(kind, **fields))

    def _follow(self) -> None:
        """Begin, keep and end what depends on the configuration."""
        loaded = self.running.loaded
        timeout = loaded.config.shutdown_timeout.total_seconds()
        files = [str(door.path) for door in self._doors if door.path is not None]
        self.running.engine.prepare_end(timeout, files)
        self._stand_at_admin()
        self._checks.update(self.running.checks())
        code = self.running.code
        if code is not None and self._code is None:
            self._code = for_ever(
                "following policies and checks", lambda: self._follow_code(code), self._say
            )
        named = has_names(loaded)
        if named and self._names is None:
            self._followed = Names(
                current=lambda: self.running.loaded,
                resolve=lambda current: in_thread(current.resolve),
                use=self._use_resolved,
                tell=self._tell_own,
            )
            self._names = for_ever("following names", self._followed.run, self._say)
        elif not named and self._names is not None:
            self._names.cancel()
            self._names = self._followed = None

    async def _use_resolved(self, before: LoadedConfig, after: LoadedConfig) -> bool:
        used = await self._reloader.use_resolved(before, after)
        if used:
            self._checks.update(self.running.checks())
        return used

    async def _follow_code(self, code: Code) -> None:
        """Look at the files of policies and checks, and use them when they have changed.

        And at the threads of policies, which the engine may have sent away.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            code.keep_at_work()
            if code.has_changed():
                await self._reloader.use_changed_code()
                self._checks.update(self.running.checks())

    async def _prepare(self, loaded: LoadedConfig) -> Callable[[bool], None]:
        """Open a new admin address before the engine changes; swap or drop it after."""
        now, then = self.running.loaded.config.admin, loaded.config.admin
        if now == then and self.running.loaded.admin_token == loaded.admin_token:
            return lambda _changed: None
        new, same = None, None
        if now is not None and then is not None and now.listen == then.listen:
            same = self._admin
        elif then is not None:
            new = Door(self._api, paths.listen_admin(then.listen), access_of(loaded))
            new.open()

        def finish(changed: bool) -> None:  # noqa: FBT001  # the only thing there is to be told
            if same is not None:
                if changed:
                    same.access = access_of(loaded)
                return
            leaving = self._admin if changed else new
            if leaving is not None:
                leaving.retire()
            if changed:
                self._doors = [door for door in self._doors if door is not self._admin]
                self._doors += [new] if new is not None else []
                self._admin = new

        return finish


async def _or_refused(doing: Awaitable[list[str]]) -> list[str]:
    """The steps of a change; what went wrong as an answer of the API."""
    try:
        return await doing
    except ReloadError as error:
        if error.errors is not None:
            raise wrong_config(error.errors) from None
        status = _STATUS[error.code]
        raise ApiError(status, error.code, str(error), hint=error.hint) from None


def access_of(loaded: LoadedConfig) -> Access:
    """Who may ask at the admin address that this configuration has."""
    admin = loaded.config.admin
    if admin is None:
        return Access()
    hosts = frozenset(host.lower() for host in admin.hosts)
    tcp = not admin.listen.startswith("unix:")
    return Access(tcp=tcp, token=loaded.admin_token, hosts=hosts)
