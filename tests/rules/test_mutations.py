"""Each mutation of tools/break_claims.py still finds the line that it is to change."""

from __future__ import annotations

import importlib.util
import sys

from harness.sources import ROOT


def test_each_mutation_finds_its_line() -> None:
    path = ROOT / "tools" / "break_claims.py"
    spec = importlib.util.spec_from_file_location("break_claims", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]

    lost = [
        f"{mutation.name}: {mutation.file}"
        for mutation in module.MUTATIONS
        if mutation.old not in (ROOT / mutation.file).read_text(encoding="utf-8")
    ]

    assert lost == []
