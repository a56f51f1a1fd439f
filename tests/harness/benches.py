"""The scripts under `bench`, imported for tests: two folders of them have a `report` each."""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType

from harness.sources import ROOT


@functools.cache
def bench(name: str) -> ModuleType:
    """A script as its own folder sees it: `report`, or `failover/report`.

    What it imports from there is taken out of `sys.modules` again, so that the other folder's
    module of the same name is found by the next.
    """
    folder, _, module = name.rpartition("/")
    paths, before = sys.path[:], set(sys.modules)
    sys.path[:0] = [str(ROOT / "bench" / folder), str(ROOT / "bench")]
    try:
        return importlib.import_module(module)
    finally:
        sys.path[:] = paths
        for each in set(sys.modules) - before:
            if str(getattr(sys.modules[each], "__file__", "")).startswith(f"{ROOT}/bench/"):
                del sys.modules[each]
