"""Each dependency has its reason, each pin its hash, and no file names a registry's host."""

from __future__ import annotations

import re
import tomllib

from harness.sources import files, name, text


def _direct() -> set[str]:
    workspace = tomllib.loads(text("Cargo.toml"))["workspace"]["dependencies"]
    project = tomllib.loads(text("pyproject.toml"))["project"]
    rust = {each for each in workspace if not each.startswith("fairlead-")}
    return rust | {re.split(r"[<>=!~\[; ]", line)[0] for line in project["dependencies"]}


def test_every_direct_dependency_has_its_reason() -> None:
    page = text("docs/dependencies.md")

    assert {each for each in _direct() if f"`{each}`" not in page} == set()


def test_pins_have_hashes_and_no_hosts() -> None:
    for path in files(".txt"):
        if not name(path).startswith("requirements/"):
            continue
        content = text(path)
        pins = re.findall(r"^[\w.-]+==", content, re.MULTILINE)

        assert pins
        assert content.count("--hash=sha256:") >= len(pins)
        assert "://" not in content
        assert "--index-url" not in content


def test_what_the_package_needs_is_pinned() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    named = {re.split(r"[<>=!~\[; ]", line)[0].lower() for line in project["dependencies"]}
    pinned = set(re.findall(r"^([\w.-]+)==", text("requirements/run.txt"), re.MULTILINE))

    assert named <= pinned
