"""Every source file of the package has its test file (STYLE.md, "Tests")."""

from __future__ import annotations

from harness.sources import ROOT, files, name

# Source files without a test file of their own, and what tests them. May only shrink.
ELSEWHERE: dict[str, str] = {
    "python/fairlead/__main__.py": "tests/interface runs it",
}


def test_every_source_file_has_a_test_file() -> None:
    missing = set()
    for path in files(".py"):
        source = name(path)
        if not source.startswith("python/fairlead/") or path.stem == "__init__":
            continue
        inside = source.removeprefix("python/fairlead/").removesuffix(path.name)
        if not (ROOT / "tests/unit" / inside / f"test_{path.stem.strip('_')}.py").exists():
            missing.add(source)

    assert missing == set(ELSEWHERE)


def test_every_unit_test_file_has_its_source_file() -> None:
    left = []
    for path in files(".py"):
        test = name(path)
        if not test.startswith("tests/unit/") or not path.name.startswith("test_"):
            continue
        source = test.replace("tests/unit/", "python/fairlead/").replace("/test_", "/")
        if not (ROOT / source).exists() and not (ROOT / source.removesuffix(".py")).is_dir():
            left.append(test)

    assert left == []
