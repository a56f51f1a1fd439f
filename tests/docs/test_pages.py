"""Every block of code in the pages is right: TOML is checked, commands exist."""

from __future__ import annotations

import ast
import json
import re
import shlex

import pytest

from harness.balancer import run
from harness.sources import files, name, text

PAGES = [page for page in map(name, files(".md")) if not page.startswith(("bench/", "changes/"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# What a page may leave to the page around it.
AROUND = """
[listeners.around]
bind = "127.0.0.1:1"
pool = "around"
[pools.around]
backends = ["127.0.0.1:2"]
"""
FRAGMENTS = {"pool.unknown", "key.missing", "pool.unused"}
UNRESOLVED = {"name.unresolved", "name.unknown", "name.failed", "policy.python", "check.python"}
ELSEWHERE = {"file.missing"}


def blocks(language: str) -> list[tuple[str, str]]:
    """All blocks in this language, with the page they stand on."""
    return [
        (page, match[2])
        for page in PAGES
        for match in BLOCK.finditer(text(page))
        if match[1] == language
    ]


@pytest.mark.parametrize(("page", "block"), blocks("toml"))
def test_toml_is_a_configuration(page: str, block: str, tmp_path) -> None:
    assert page
    path = tmp_path / "fairlead.toml"
    # A page may show one listener or one pool: the other half is added, and names that don't
    # resolve here are no mistake of the page.
    path.write_text(block + AROUND)

    done = run("check", str(path), "--json")

    errors = json.loads(done.stdout).get("errors", [])
    codes = {error["code"] for error in errors}
    assert codes <= FRAGMENTS | UNRESOLVED | ELSEWHERE | {
        c for c in codes if c.startswith("name.")
    }, errors


@pytest.mark.parametrize(("page", "block"), blocks("python"))
def test_python_compiles(page: str, block: str) -> None:
    compile(block, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def commands() -> list[tuple[str, str]]:
    """All lines that begin with ``fairlead``, without what the page says behind ``#``."""
    found = []
    for page, block in [*blocks(""), *blocks("sh"), *blocks("bash")]:
        if page.startswith("docs/reference"):
            continue
        for line in block.splitlines():
            words = line.split("   #")[0].split("&&")
            found += [
                (page, word.strip()) for word in words if word.strip().startswith("fairlead ")
            ]
    return found


@pytest.mark.parametrize(("page", "command"), commands())
def test_commands_exist_with_their_options(page: str, command: str) -> None:
    assert page
    words = shlex.split(command.split(">", maxsplit=1)[0].replace("…", ""))[1:]
    options = [word for word in words if word.startswith("--")]
    known = run(words[0], "--help")

    assert known.returncode == 0, command
    assert all(re.search(rf"{re.escape(option)}\b", known.stdout) for option in options), command
