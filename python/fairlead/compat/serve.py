"""From balance's arguments to an instance that lets clients in.

Everything that can be wrong is found out here, before anybody is let in and before a daemon lets
go of its caller: hosts that don't resolve (65), an address that can't be listened on or a source
that isn't ours (71), a wrong monitoring spec (69). Not here: life after that (`stay`).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from fairlead.compat import rendezvous
from fairlead.compat.channels import parse_channels
from fairlead.compat.identity import identity
from fairlead.compat.layout import Layout, Settings
from fairlead.compat.spec import parse_spec
from fairlead.compat.table import first_shape
from fairlead.compat.usage import DATA_ERROR, OS_ERROR, ExitError
from fairlead.control import paths
from fairlead.control.engine import start_engine
from fairlead.control.run import bind_control, catch_early, loop_when_possible, raise_file_limit
from fairlead.control.running import Running
from fairlead.errors import ConfigErrors, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead.compat.arguments import Arguments
    from fairlead.compat.spec import Monitoring

__all__ = ["Prepared", "prepare", "serve"]


class Prepared:
    """What a command line comes to: nothing runs yet.

    Attributes:
        layout: The plan.
        monitoring: `-m`, if given.
    """

    def __init__(self, layout: Layout, monitoring: Monitoring | None) -> None:
        self.layout = layout
        self.monitoring = monitoring


def prepare(arguments: Arguments, port: int) -> Prepared:
    """Read hosts and spec, and ask for the names.

    Raises:
        ExitError: It can't run.
    """
    groups = parse_channels(arguments.channels, port)
    monitoring = None
    if arguments.monitor is not None:
        monitoring = parse_spec(arguments.monitor, arguments.connect_seconds)
    source = _source(arguments.source) if arguments.source is not None else None
    settings = Settings(
        port=port,
        bind=identity(arguments.bind),
        arguments=arguments.replace(source=source),
        rise=monitoring.rise if monitoring else None,
        fall=monitoring.fall if monitoring else None,
    )
    try:
        layout = Layout(settings, first_shape(groups))
    except ConfigErrors as errors:
        raise ExitError(DATA_ERROR, "\n".join(_unknown(error) for error in errors.errors)) from None
    return Prepared(layout, monitoring)


def serve(
    prepared: Prepared,
    tell: Callable[[str], None],
    ready: Callable[[], None],
) -> int:
    """Run until a signal or `kill` ends it. Called in the main thread.

    Args:
        prepared: What to run.
        tell: Writes a line for people; may block.
        ready: Called once clients are let in.

    Returns:
        The exit code.

    Raises:
        ExitError: It can't be begun.
    """
    layout = prepared.layout
    early = catch_early()
    raise_file_limit()
    running = Running(start_engine(layout.config.workers, layout.config.io), layout)
    try:
        running.start()
    except EngineError as error:
        running.engine.stop(0)
        hint = f"\nhint: {error.hint}" if error.hint else ""
        raise ExitError(OS_ERROR, f"{error}{hint}") from None
    settings = layout.settings
    try:
        meeting = paths.listen_named(rendezvous.name(settings.port, settings.bind))
    except OSError as error:
        running.engine.stop(0)
        raise ExitError(OS_ERROR, f"cannot create the rendezvous: {error}") from None
    control = bind_control(tell)
    running.open()
    ready()
    runner = loop_when_possible(tell, early)
    if runner is None:
        running.engine.stop(layout.config.shutdown_timeout.total_seconds())
        paths.close(meeting)
        return 0
    from fairlead.compat.stay import Opened, stay

    opened = Opened(running, control, meeting, prepared.monitoring)
    with runner:
        runner.run(stay(opened, tell, early))
    return 0


def _source(host: str) -> str:
    """The address of `-B`, which must be this machine's."""
    address = identity(host) or host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ExitError(OS_ERROR, f"cannot connect from {address}: {why}") from None
    return address


def _unknown(error: Exception) -> str:
    return f"unknown or invalid address: {str(error).splitlines()[0]}"
