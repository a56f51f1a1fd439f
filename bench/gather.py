"""Who of the rivals is here: whoever isn't is set up as far as packages allow, and else named.

1. Whoever is here is left alone, and where all are nothing is run.
2. `setup_peers.sh` is told who is missing. It says what it does while it does it, and of everybody
   that it can't set up why.
3. That somebody can't be had is no failure: the others are compared.
"""
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from peers import Peer

SCRIPT = Path(__file__).resolve().parent / "setup_peers.sh"
HINT = "bench/setup_peers.sh sets up whom packages have (root)"


def product(name: str) -> str:
    """Whose the balancer is: `haproxy` for `haproxy-tcp` and `haproxy-splice`."""
    return name.partition("-")[0]


def gather(wanted: dict[str, Peer], allowed: bool, script: Path = SCRIPT,
           say: Callable[[str], None] = lambda line: print(line, flush=True)) -> dict[str, str]:
    """Sets up whoever isn't here, if that is allowed; returns who isn't here then, and why not.

    `wanted` has one peer for each product, by the product's name.
    """
    absent = [name for name, peer in wanted.items() if not peer.available()]
    if not absent:
        return {}
    why = dict.fromkeys(absent, f"it isn't set up; {HINT}")
    if allowed and os.geteuid() != 0:
        why = dict.fromkeys(absent, "only root can set it up")
    elif allowed:
        say(f"setting up {', '.join(absent)}: some minutes the first time (--no-setup goes on without)")
        why |= set_up(absent, script, say)
    why = {name: why[name] for name in absent if not wanted[name].available()}
    for name, text in why.items():
        say(f"left out: {name}: {text}")
    return why


def set_up(names: list[str], script: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Runs the script, tells what it says, and returns why it couldn't set somebody up."""
    why = dict.fromkeys(names, f"it was not there after {script.name} either")
    try:
        done = subprocess.Popen([str(script), *names], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.STDOUT, env={**os.environ, "PYTHON": sys.executable})
    except OSError as failure:
        return dict.fromkeys(names, f"{script.name}: {failure.strerror}")
    with done:
        for line in done.stdout or ():
            mark, _, rest = line.rstrip().partition("missing: ")
            name, _, text = rest.partition(": ")
            if not mark and name in why:
                why[name] = text
            else:
                say(line.rstrip())
    return why
