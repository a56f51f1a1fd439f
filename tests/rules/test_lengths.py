"""Files and functions stay short (STYLE.md, "Sizes")."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from harness.sources import files, name, text

FILE = 600
TEST_FILE = 1000
FUNCTION = 70

# Longer than they should be. The numbers may only shrink: a file that has become shorter than its
# number fails, so that the number follows it down.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}


def _is_test(path: Path) -> bool:
    return "tests" in path.parts or path.stem == "tests"


def test_no_file_is_too_long() -> None:
    found = {}
    for path in files(".rs", ".py"):
        length = text(path).count("\n")
        if length > (TEST_FILE if _is_test(path) else FILE):
            found[name(path)] = length

    assert found == LONG_FILES, "cut it by phase of life, not by layer"


def _python_functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield node.name, length - (docstring.count("\n") + 1 if docstring else 0)


_FUNCTION = re.compile(r"^( *)(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe )*fn (\w+)")


def _rust_functions(path: Path) -> Iterator[tuple[str, int]]:
    lines = text(path).splitlines()
    for start, line in enumerate(lines):
        if match := _FUNCTION.match(line):
            opened = next(each for each in lines[start:] if each.endswith(("{", ";", "}")))
            if not opened.endswith("{"):
                continue  # a trait's method without a body, or all of it on one line
            closing = f"{match[1]}}}"
            end = next((at for at in range(start, len(lines)) if lines[at] == closing), start)
            yield match[2], end - start + 1


def test_no_function_is_too_long() -> None:
    found = {}
    for path in files(".rs", ".py"):
        if _is_test(path) or name(path).startswith("bench/"):
            continue
        functions = _python_functions(path) if path.suffix == ".py" else _rust_functions(path)
        found |= {f"{name(path)}:{each}": length for each, length in functions if length > FUNCTION}

    assert found == LONG_FUNCTIONS, "branches in the parent, loops in the leaves"
