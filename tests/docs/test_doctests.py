"""Every example in a docstring runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import fairlead

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(fairlead.__path__, "fairlead.")
    if module.name not in ("fairlead.__main__", "fairlead._engine")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name))

    assert failed == 0
