"""Who may import whom (STYLE.md, "Layers"), as far as cargo and import-linter can't hold it."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from harness.sources import ROOT, files, name, text

PURE = ["model", "proto", "balance", "flow", "sim"]

ARROWS = {
    "model": set(),
    "proto": set(),
    "balance": {"model"},
    "flow": {"model", "balance", "proto"},
    "engine": {"model", "balance", "flow", "proto"},
    "sim": {"model", "balance", "flow"},
    "python": {"model", "engine", "sim"},
}

# The only modules that may name the native module, and why.
ENGINE_USERS = {
    "fairlead.balancer": "wires it to everything else",
    "fairlead.cli": "its version, and faults played in virtual time",
    "fairlead.config.read": "TOML with the places of its values, and whether a regex compiles",
    "fairlead.control": "plans and wishes go in, events and status come out",
    "fairlead.health": "reports the results of checks that run in Python",
}


def test_there_are_seven_crates() -> None:
    found = {path.name for path in (ROOT / "crates").iterdir() if path.is_dir()}

    assert {f"fairlead-{crate}" for crate in ARROWS} == found


@pytest.mark.parametrize("crate", ARROWS)
def test_a_crate_depends_only_on_those_below_it(crate: str) -> None:
    manifest = tomllib.loads(text(f"crates/fairlead-{crate}/Cargo.toml"))
    tables = ("dependencies", "dev-dependencies", "build-dependencies")
    named = {dependency for table in tables for dependency in manifest.get(table, {})}
    ours = {
        dependency.removeprefix("fairlead-") for dependency in named if "fairlead-" in dependency
    }

    assert ours <= ARROWS[crate], "an arrow that STYLE.md does not draw"


@pytest.mark.parametrize("crate", PURE)
def test_pure_crates_forbid_unsafe_code(crate: str) -> None:
    assert "#![forbid(unsafe_code)]" in text(f"crates/fairlead-{crate}/src/lib.rs")


def test_unsafe_code_stands_only_where_system_calls_are_made() -> None:
    allowed = ("crates/fairlead-engine/src/sys/", "crates/fairlead-engine/src/sys.rs")
    found = [
        name(path)
        for path in files(".rs")
        if name(path).startswith("crates/")
        and re.search(r"\bunsafe\s*(\{|fn|impl|extern)", text(path))
        and not name(path).startswith(allowed)
    ]

    assert found == []


def test_pure_crates_share_one_list_of_what_they_must_not_touch() -> None:
    lists = {text(f"crates/fairlead-{crate}/clippy.toml") for crate in PURE}

    assert len(lists) == 1


@pytest.mark.parametrize("crate", PURE)
def test_pure_crates_name_no_socket_clock_or_thread(crate: str) -> None:
    # clippy holds this too; here it is held where clippy is not installed, and for macros.
    banned = re.compile(
        r"Instant::now|SystemTime|thread::(spawn|sleep)|TcpStream|TcpListener|std::fs\b"
    )
    found = [
        f"{name(path)}: {match[0]}"
        for path in files(".rs")
        if name(path).startswith(f"crates/fairlead-{crate}/src/")
        for match in banned.finditer(_without_comments(text(path)))
    ]

    assert found == []


def _without_comments(source: str) -> str:
    return re.sub(r"//[^\n]*", "", source)


def _imports(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _modules() -> dict[str, str]:
    return {
        name(path)
        .removeprefix("python/")
        .removesuffix(".py")
        .replace("/", ".")
        .removesuffix(".__init__"): text(path)
        for path in files(".py")
        if name(path).startswith("python/")
    }


def test_only_those_named_here_touch_the_native_module() -> None:
    users = {
        module
        for module, source in _modules().items()
        if any(found.startswith("fairlead._engine") for found in _imports(source))
    }
    unknown = {
        module
        for module in users
        if not any(module == user or module.startswith(f"{user}.") for user in ENGINE_USERS)
    }

    assert unknown == set()


_FOR_PYTEST = "fairlead.testing.plugin"


def test_python_imports_nothing_that_is_not_a_declared_dependency() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    named = {re.split(r"[<>=!~\[; ]", line)[0] for line in project["dependencies"]}
    # pytest itself imports this one, and nobody else does.
    modules = {module: source for module, source in _modules().items() if module != _FOR_PYTEST}
    import_names = {"yaml" if dependency == "pyyaml" else dependency for dependency in named}
    import sys

    found = {
        imported.split(".")[0]
        for source in modules.values()
        for imported in _imports(source)
        if not imported.startswith("fairlead")
    }

    assert found - set(sys.stdlib_module_names) - import_names - {"__future__"} == set()
