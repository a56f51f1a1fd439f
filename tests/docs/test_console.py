"""Commands run as the pages print them, in their order, on the machines that the pages speak of."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator

import pytest

from harness import lab
from harness.balancer import wait_for
from harness.sources import text
from harness.town import Town

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = (
    "README.md",
    "docs/guides/access-log.md",
    "docs/guides/chaos.md",
    "docs/guides/configuration.md",
    "docs/guides/getting-started.md",
    "docs/guides/operation.md",
    "docs/guides/testing.md",
    "docs/from/balance.md",
    "docs/from/go-balancer.md",
    "docs/concepts/health.md",
)
SERVES = ("http", "tcp", "run")
FOLLOWS = ("top", "events")

SHOP = """
[listeners.web]
bind = ":8080"
pool = "app"
[pools.app]
backends = ["app1:8000", "app2:8000", { address = "backup:8000", group = 1 }]
check = { type = "tcp", interval = "200ms" }
"""


@pytest.fixture
def town(tmp_path) -> Iterator[Town]:
    """The machines, with a configuration in the current folder."""
    missing = lab.missing()
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must be able to run this: {missing}")
        pytest.skip(missing)
    made = Town(tmp_path)
    for name in ("fairlead.toml", "shop.toml"):
        (tmp_path / name).write_text(SHOP)
    yield made
    made.close()


def lines(page: str) -> Iterator[tuple[str, str]]:
    """What a page prints for a shell, and its own configurations, in order."""
    for match in BLOCK.finditer(text(page)):
        if match[1] == "toml":
            yield "toml", match[2]
        elif match[1] in ("", "sh"):
            for line in match[2].replace("\\\n", " ").splitlines():
                yield "sh", re.sub(r"\s{2,}#.*", "", line)


def is_fairlead(line: str, *commands: str) -> bool:
    return any(line.startswith(f"fairlead {command}") for command in commands)


def play(town: Town, line: str) -> bool:
    """Do what a reader does who types this line. No: it is what a command prints."""
    line = line.replace("/etc/fairlead/fairlead.toml", "fairlead.toml").replace("30s", "1s")
    if line.endswith("&"):
        town.leave_running(line)
    elif is_fairlead(line, *SERVES) and "--print-config" not in line:
        serve(town, line)
    elif is_fairlead(line, "balance") and not {"-c", "-i"} & set(shlex.split(line)):
        port = 25 if "smtp" in line else 5432
        # Two examples may want the same port.
        town.run(f"fairlead balance -c kill {port}")
        done = town.run(line)
        assert (done.returncode, done.stderr) == (0, ""), line
        with town.dial(port) as client:
            assert client.read_line() == b"220 hello"
    elif is_fairlead(line, *FOLLOWS):
        beside(town)
        done = town.run(f"timeout 1.5 {line}")
        assert done.returncode in (0, 124), (line, done)
        assert "error" not in done.stderr, (line, done)
    elif line.startswith(("fairlead ", "curl ")):
        beside(town)
        done = town.run(line)
        assert done.returncode == 0, (line, done)
        assert not (line.startswith("curl") and '"code"' in done.stdout), (line, done)
    else:
        return False
    return True


def serve(town: Town, line: str) -> None:
    """Start it, and be its first client."""
    town.start(line).wait_ready()
    words = shlex.split(line)
    port = 5432 if words[1] == "tcp" else 3030 if ":3030" in words or "303" in shown(town) else 8080
    if words[1] == "tcp":
        with town.dial(port) as client:
            assert client.read_line() == b"220 hello", line
        return

    def answers() -> bool:
        with town.dial(port) as client:
            return client.get().status == 200

    # What the page has started just before may take its time.
    wait_for(answers, 15)


def shown(town: Town) -> str:
    return (town.folder / "fairlead.toml").read_text()


def beside(town: Town) -> None:
    """An instance to be asked, unless the page has started one."""
    if town.serving is None:
        town.start("fairlead run fairlead.toml").wait_ready()


@pytest.mark.root
@pytest.mark.parametrize("page", PAGES)
def test_commands_do_what_the_page_says(town: Town, page: str) -> None:
    played = 0
    for kind, what in lines(page):
        if kind == "toml" and what.startswith("[chaos]"):
            (town.folder / "fairlead.toml").write_text(f"{SHOP}\n{what}")
        elif kind == "sh":
            played += play(town, what)

    assert played, "a page without commands doesn't belong here"
