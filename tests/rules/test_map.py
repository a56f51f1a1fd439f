"""What the documents point at exists."""

from __future__ import annotations

import re

import pytest

from harness.sources import ROOT, files, name, text

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
ROW = re.compile(r"^\|(?P<question>[^|]+)\|(?P<place>[^|]+)\|$", re.MULTILINE)
PATH = re.compile(r"`([\w./{}*,-]+/[\w./{}*,-]*|[\w-]+\.(?:md|toml))`")


@pytest.mark.parametrize("page", [name(path) for path in files(".md")])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    here = (ROOT / page).parent
    broken = [
        link
        for link in LINK.findall(text(page))
        if not re.match(r"[a-z]+:", link) and not (here / link).exists()
    ]

    assert broken == []


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_paths_that_a_page_names_exist(page: str) -> None:
    missing = [path for path in PATH.findall(text(page)) if not _exists(path)]

    assert missing == []


def _exists(path: str) -> bool:
    if path.startswith((".venv", "target", "dist", "/", "./fairlead.toml", "fairlead.toml")):
        return True  # made by a command, or the reader's own
    expanded = _braces(path)
    return all(
        any(ROOT.glob(each.rstrip("/"))) if "*" in each else (ROOT / each).exists()
        for each in expanded
    )


def _braces(path: str) -> list[str]:
    match = re.search(r"\{([^}]*)\}", path)
    if match is None:
        return [path]
    before, after = path[: match.start()], path[match.end() :]
    return [each for choice in match[1].split(",") for each in _braces(before + choice + after)]


def test_where_is_it_answers_the_newcomers_questions() -> None:
    section = text("ARCHITECTURE.md").split("## Where is it?")[1]
    rows = [match for match in ROW.finditer(section) if "---" not in match["place"]]

    assert len(rows) >= 20
    assert all(PATH.search(row["place"]) for row in rows[1:])


def test_every_folder_of_source_is_on_the_map() -> None:
    page = text("ARCHITECTURE.md")
    crates = [path.name for path in (ROOT / "crates").iterdir() if path.is_dir()]
    package = ROOT / "python/fairlead"
    folders = [path.name + "/" for path in package.iterdir() if any(path.glob("*.py"))]

    assert [each for each in crates + folders if each not in page] == []
