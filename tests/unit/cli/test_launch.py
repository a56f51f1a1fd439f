from __future__ import annotations

from fairlead.cli import output
from fairlead.cli.launch import launch


def test_what_is_loaded_is_served_and_can_be_loaded_again(monkeypatch):
    loads, serves = [], []

    def load(previous):
        loads.append(previous)
        return f"config {len(loads)}"

    def serve(first, reload, *, tell):
        serves.append((first, reload(), reload(), tell))
        return 7

    monkeypatch.setattr("fairlead.control.run.serve", serve)

    assert launch(load) == 7
    assert serves == [("config 1", "config 2", "config 3", output.tell)]
    assert loads == [None, "config 1", "config 2"]
