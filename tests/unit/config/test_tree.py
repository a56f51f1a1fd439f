from __future__ import annotations

from typing import get_args

from fairlead.config.tree import Kind, Node, describe
from harness.texts import place


def test_every_kind_has_words():
    for kind in get_args(Kind):
        assert describe(Node(kind, None, place()))
