"""One word per thing (STYLE.md, "Words"), and no marks of unfinished work."""

from __future__ import annotations

import re

from harness.sources import files, name, text

BANNED = {
    "upstream": "say backend, or backend side",
    "downstream": "say client, or client side",
    "cluster": "say pool",
    "farm": "say pool",
    "session": "say connection",
}

# Where such a word is somebody else's.
EXCEPTIONS = {
    "bench/": "the rivals' own configuration",
    "tests/rules/test_words.py": "this list",
    "STYLE.md": "the list of words not to use",
    "requirements/": "names of packages",
    "Cargo.lock": "names of packages",
    "tests/harness/programs.py": "PostgreSQL calls its data a cluster",
    "tests/wire/real/": "options and classes of real programs",
    "crates/fairlead-proto/examples/": "names of cookies",
    "python/fairlead/cli/": "an operating system's word in completion scripts",
}

FILE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "shared", "manager"}

# Functions and types of ours; the standard library's `start_server` is no definition here.
DEFINITION = re.compile(
    r"^\s*(?:pub(?:\([^)]*\))? )?(?:async |const |unsafe )*(?:def|class|fn|struct|enum|trait|mod|type) (\w+)",
    re.MULTILINE,
)


def _excepted(path: str) -> bool:
    return any(path.startswith(start) for start in EXCEPTIONS)


def test_words_that_people_disagree_on_are_not_used() -> None:
    pattern = re.compile(rf"(?<![a-z])({'|'.join(BANNED)})s?(?![a-z])", re.IGNORECASE)
    found = [
        f"{name(path)}:{number}: {match[0]}: {BANNED[match[1].lower()]}"
        for path in files(".rs", ".py", ".md", ".toml")
        if not _excepted(name(path))
        for number, line in enumerate(text(path).splitlines(), 1)
        for match in pattern.finditer(line)
    ]

    assert found == []


def test_nothing_of_ours_is_called_server() -> None:
    found = [
        f"{name(path)}: {match[1]}"
        for path in files(".rs", ".py")
        if not _excepted(name(path)) and not name(path).startswith("tests/")
        for match in DEFINITION.finditer(text(path))
        if re.search(r"server|Server", match[1])
    ]

    assert found == [], "say backend (where requests go) or socket (what we listen on)"


def test_files_are_named_after_what_is_in_them() -> None:
    found = [name(path) for path in files(".rs", ".py") if path.stem.strip("_") in FILE_NAMES]

    assert found == []


def test_no_marks_of_unfinished_work() -> None:
    marks = ["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK", "unimplemented" + "!", "todo" + "!("]
    pattern = re.compile("|".join(rf"(?<![A-Za-z]){re.escape(mark)}" for mark in marks))
    found = [
        f"{name(path)}:{number}"
        for path in files(".rs", ".py", ".md", ".toml", ".sh")
        for number, line in enumerate(text(path).splitlines(), 1)
        if pattern.search(line)
    ]

    assert found == []
