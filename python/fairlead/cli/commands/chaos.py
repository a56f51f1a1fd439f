"""`fairlead chaos`: faults at one backend on purpose, and a report of what clients noticed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from fairlead.cli import output
from fairlead.cli.backend import complete, split
from fairlead.cli.command import Command, instance_option, json_option
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fairlead.cli.ask import Running
    from fairlead.config.place import Place

__all__ = ["chaos", "line", "render"]

_FAULTS = ("drop", "delay", "reset", "error", "freeze")
_LOOK_SECONDS = 0.2

# Generic only in newer versions of click than we need.
if TYPE_CHECKING:
    _Type = click.ParamType[float]
else:
    _Type = click.ParamType


class _Spelled(_Type):
    """A share or a duration, spelled as in a configuration."""

    def __init__(self, name: str, read: Callable[[str, Place], float]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Its value, or a usage error."""
        from fairlead.config.place import Source

        if isinstance(value, float):
            return value
        try:
            return self._read(str(value), Source("", str(value)).place(0, len(str(value))))
        except ConfigError as error:
            self.fail(f"{error.found}: expected {error.expected}", param, ctx)


def _share(text: str, at: Place) -> float:
    from fairlead.config.units import parse_share

    return parse_share(text, at=at)


def _seconds(text: str, at: Place) -> float:
    from fairlead.config.units import parse_duration

    return parse_duration(text, at=at).total_seconds()


_DURATION = _Spelled("duration", _seconds)


@click.command(
    cls=Command,
    examples=[
        (
            "fairlead chaos --backend app/app1:8000 --fault freeze --share 10% --for 30s",
            "What clients notice while a tenth of the attempts at app1 hang.",
        ),
        (
            "fairlead chaos --backend app/app1:8000 --fault drop --for 10s",
            "app1 as a host without power.",
        ),
        ("fairlead chaos", "What is being played, or was last, and what came of it."),
        ("fairlead chaos --stop", "Enough."),
    ],
)
@click.option(
    "--backend",
    metavar="POOL/BACKEND",
    shell_complete=complete,
    help="At which backend.",
)
@click.option(
    "--fault",
    type=click.Choice(_FAULTS),
    help="drop: connects and bytes vanish. freeze: connects succeed, nothing comes back. "
    "reset: the connection is reset. delay: answers come late. error: 503 instead of an answer.",
)
@click.option(
    "--share",
    type=_Spelled("percentage", _share),
    default="100%",
    show_default=True,
    help="How many of the attempts at it suffer.",
)
@click.option(
    "--for",
    "seconds",
    type=_DURATION,
    default="30s",
    show_default=True,
    help="How long; at most 1h.",
)
@click.option(
    "--delay",
    type=_DURATION,
    default="2s",
    show_default=True,
    help="How late answers are, for `delay`.",
)
@click.option("--checks", is_flag=True, help="Let checks have errors, too, for `error`.")
@click.option("--stop", is_flag=True, help="End what is being played.")
@instance_option
@json_option
@click.pass_context
def chaos(  # noqa: PLR0913, PLR0917  # its options
    ctx: click.Context,
    backend: str | None,
    fault: str | None,
    share: float,
    seconds: float,
    delay: float,
    instance: str | None,
    *,
    checks: bool,
    stop: bool,
    as_json: bool,
) -> int:
    """Play faults at one backend of a running fairlead, and report what its clients noticed.

    The configuration has to allow it: [chaos] enabled = true. It is refused where no other backend
    of the pool is healthy, and ends by itself, even if nobody is left to end it. Ctrl-C ends it.
    The exit code is 1 if a client got an error.
    """
    from fairlead.cli.ask import find

    given = _given(ctx, ("share", "seconds", "delay", "checks"))
    if backend is None and fault is None and not given:
        running = find(instance)
        told = running.ask("DELETE" if stop else "GET", "/v1/chaos").json["chaos"]
        return _tell(told, as_json=as_json)
    if stop or backend is None or fault is None:
        raise click.UsageError("`--backend` and `--fault` belong together, and not to `--stop`")
    if "delay" in given and fault != "delay":
        raise click.UsageError("`--delay` is for `--fault delay`")
    if checks and fault != "error":
        raise click.UsageError("`--checks` is for `--fault error`")
    running = find(instance)
    pool, address = split(running, backend)
    wanted = {
        "pool": pool,
        "backend": address,
        "fault": fault,
        "share": share,
        "seconds": seconds,
        "delay_seconds": delay,
        "checks": checks,
    }
    return _tell(_play(running, wanted), as_json=as_json)


def _given(ctx: click.Context, names: Iterable[str]) -> set[str]:
    """Those of the options that were typed: their defaults would say so, too."""
    typed = click.core.ParameterSource.COMMANDLINE
    return {name for name in names if ctx.get_parameter_source(name) is typed}


def _play(running: Running, wanted: dict[str, Any]) -> Any:
    """Begin, and wait until it is over and its backend is well again; the report."""
    started, ended = "", False
    while True:
        try:
            if not started:
                began = running.ask("POST", "/v1/chaos", wanted).json["chaos"]
                started = began["started"]
                output.say(f"playing {line(began)}; Ctrl-C ends it")
            told = running.ask("GET", "/v1/chaos").json["chaos"]
            # Somebody else may have begun another one since.
            if told["settled"] or told["started"] != started:
                return told
            if not told["running"] and not ended:
                ended = True
                output.say("ended; waiting until the backend is healthy")
            time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            if ended or not started:
                return running.ask("DELETE", "/v1/chaos").json["chaos"]
            running.ask("DELETE", "/v1/chaos")


def _tell(told: Any, *, as_json: bool) -> int:
    if as_json:
        output.json_data(told)
    else:
        output.data("nothing was played so far" if told is None else render(told))
    return 1 if told is not None and told["clients"]["failed"] else 0


def line(told: dict[str, Any]) -> str:
    """A run in a few words: ``freeze of 10% at app/app1:8000, 12 s left``."""
    from fairlead.config.units import format_share

    left = f"{told['seconds_left']:.0f} s left" if told["running"] else "ended"
    share = format_share(told["share"])
    return f"{told['fault']} of {share} at {told['pool']}/{told['backend']}, {left}"


def render(told: dict[str, Any]) -> str:
    """The report on a run, as a person should see it.

    Args:
        told: What ``GET /v1/chaos`` answers as ``chaos``.
    """
    rows = [
        line(told),
        f"played    {_played(told)}",
        f"noticed   {_noticed(told['noticed'])}",
        f"restored  {_restored(told)}",
        f"clients   {_clients(told['clients'])}",
        f"          {_slow(told['clients'])}",
    ]
    return "\n".join(rows)


def _played(told: dict[str, Any]) -> str:
    of, checks = told["played"], told["played_checks"]
    return (
        f"at {of['suffered']:,} of {of['of']:,} attempts and {checks['suffered']:,} of "
        f"{checks['of']:,} checks, in {told['seconds']:.1f} s"
    )


def _noticed(noticed: dict[str, Any] | None) -> str:
    if noticed is None:
        return "not at all: its health didn't change"
    return f"after {noticed['after_seconds']:.2f} s: {noticed['health']} ({noticed['why']})"


def _restored(told: dict[str, Any]) -> str:
    after = told["restored_after_seconds"]
    if after is not None:
        return f"healthy {after:.2f} s after the end" if after else "it was healthy at the end"
    return "not yet" if not told["settled"] else "not within a minute of the end"


def _clients(clients: dict[str, Any]) -> str:
    served = f"{clients['served']:,} served"
    if not clients["failed"]:
        return output.paint(f"{served}, not one error", "good")
    errors = ", ".join(f"{count:,} {code}" for code, count in sorted(clients["errors"].items()))
    return output.paint(f"{served}, {clients['failed']:,} failed: {errors}", "bad")


def _slow(clients: dict[str, Any]) -> str:
    before = clients["p99_ms_before"]
    usual = "" if before is None else f"; before, 99 % took at most {before:.1f} ms"
    left = f"; {clients['left']:,} left before their answer" if clients["left"] else ""
    return (
        f"{clients['slow']:,} slower than {clients['slow_ms']:.0f} ms "
        f"({clients['slow_expected']:.1f} expected{usual}){left}"
    )
