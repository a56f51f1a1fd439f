"""`fairlead http` and `fairlead tcp`: balance without a file.

Decides the options of the quick forms. What they mean is decided in ``config/quick.py``: they are
a configuration like any other, and `--print-config` writes it as a file.
"""

from __future__ import annotations

import click

from fairlead.cli import output
from fairlead.cli.command import Command, Whole

__all__ = ["http", "tcp"]

_LISTEN = (
    "LISTEN",
    (
        "Where clients connect to: 8080 or :8080 (all addresses), 127.0.0.1:8080, [::1]:8080, "
        "unix:/path."
    ),
)
_GROUPS = (
    "!",
    "What follows takes traffic only while everything before it is unavailable. A word of its own.",
)


def _backends(protocol: str) -> tuple[str, str]:
    alone = " A host alone takes the listener's port." if protocol == "tcp" else ""
    return (
        "BACKEND",
        (
            "host:port, http://host:port or unix:/path; *N at the end is a weight (put it in quotes, "
            f"as shells treat the star); commas join several.{alone}"
        ),
    )


# Name, what stands for its value, and what it means. A value called N is a whole number.
_OPTIONS = (
    (
        "--policy",
        "NAME",
        (
            "How a backend is picked: round-robin, random, least-connections, p2c, peak-ewma, hash, "
            "first.  [default: round-robin]"
        ),
    ),
    (
        "--check",
        "tcp|none|/PATH",
        (
            "How backends are probed: connect, not at all, or GET this path and expect a status from "
            "200 to 399.  [default: tcp]"
        ),
    ),
    ("--interval", "TIME", "Between two probes of a backend.  [default: 2s]"),
    ("--timeout", "TIME", "For a whole probe.  [default: 1s]"),
    ("--rise", "N", "Passes in a row before a down backend is used again.  [default: 2]"),
    ("--fall", "N", "Failures in a row before a healthy backend is down.  [default: 3]"),
    ("--connect-timeout", "TIME", "For each attempt to connect to a backend.  [default: 1s]"),
    ("--attempts", "N", "Backends tried for one request or connection, in all.  [default: 3]"),
    (
        "--admin",
        "ADDR",
        (
            "Serve the admin API there, too: a loopback address such as 127.0.0.1:9100, or "
            "unix:/path.  [default: only the local control socket]"
        ),
    ),
    (
        "--access-log",
        "FILE",
        (
            "Write a line of JSON about each request or connection to this file, or to standard "
            "output for -.  [default: no access log]"
        ),
    ),
    ("--workers", "N", "Threads that move bytes.  [default: one per CPU]"),
    (
        "--io",
        "DRIVER",
        (
            "How they call the kernel: epoll, uring (many calls at once, through an io_uring), or "
            "auto: uring where the kernel allows it.  [default: auto]"
        ),
    ),
)


def _params() -> list[click.Parameter]:
    return [
        click.Argument(["listen"], metavar="LISTEN"),
        click.Argument(
            ["backends"],
            metavar="BACKEND... [! BACKEND...]...",
            nargs=-1,
            required=True,
            type=click.UNPROCESSED,
        ),
        *(
            click.Option([name], metavar=value, help=text, type=Whole() if value == "N" else str)
            for name, value, text in _OPTIONS
        ),
        click.Option(
            ["--print-config"],
            is_flag=True,
            help="Write the same set-up as a configuration file to standard output, and exit.",
        ),
    ]


def _command(protocol: str, text: str, examples: list[tuple[str, str]]) -> Command:
    def run(
        listen: str,
        backends: tuple[str, ...],
        *,
        print_config: bool,
        **options: str | int | None,
    ) -> int:
        given = {
            name.replace("_", "-"): value for name, value in options.items() if value is not None
        }
        return _run(protocol, listen, backends, given, print_config=print_config)

    return Command(
        name=protocol,
        help=text,
        callback=run,
        params=_params(),
        examples=examples,
        arguments=[_LISTEN, _backends(protocol), _GROUPS],
        options_metavar="[OPTIONS]",
    )


def _run(
    protocol: str,
    listen: str,
    backends: tuple[str, ...],
    options: dict[str, str | int],
    *,
    print_config: bool,
) -> int:
    from fairlead import _engine
    from fairlead.cli.launch import launch
    from fairlead.config.loaded import load_parsed
    from fairlead.config.quick import SOURCE, Quick, parse_quick
    from fairlead.config.write import write_toml

    parsed = parse_quick(Quick(protocol, listen, backends, options), _engine)
    if print_config:
        output.data(write_toml(parsed.config).rstrip("\n"))
        return 0
    return launch(lambda previous: load_parsed(parsed, SOURCE, previous=previous))


http = _command(
    "http",
    "A reverse proxy for HTTP/1.1: shares requests between backends, checks them, and sends what "
    "may be repeated to another when one fails.",
    [
        (
            "fairlead http :8080 app1:8000 app2:8000",
            "Share requests between two.",
        ),
        (
            "fairlead http :8080 'app1:8000*3' app2:8000 ! backup:8000",
            "Three of four requests to app1; backup only while both are away.",
        ),
        (
            "fairlead http :8080 app1:8000 app2:8000 --check /healthz --print-config",
            "Write the configuration file that does the same, to go on from there.",
        ),
    ],
)

tcp = _command(
    "tcp",
    "A proxy for any protocol over TCP: shares connections between backends and passes bytes on as "
    "they are.",
    [
        (
            "fairlead tcp :5432 db1 db2",
            "Share connections to port 5432 between the same port of two hosts.",
        ),
        (
            "fairlead tcp :6379 redis1 ! redis2",
            "redis2 only while redis1 is away.",
        ),
        (
            "fairlead tcp unix:/run/db.sock db1:5432,db2:5432 --policy least-connections",
            "From a Unix socket; a new connection goes to whoever has fewer.",
        ),
    ],
)
