"""What is found out before anything runs; the rest is tests/wire/compat."""

from __future__ import annotations

import socket

import pytest

from fairlead.compat.arguments import parse_arguments
from fairlead.compat.serve import prepare, serve
from fairlead.compat.usage import ExitError


def wrong(*words):
    with pytest.raises(ExitError) as caught:
        prepare(parse_arguments(words), 80)
    return caught.value.code, str(caught.value)


def test_what_can_not_run_has_its_code():
    assert wrong("80", "no.such.host.invalid")[0] == 65
    assert wrong("-b", "no.such.host.invalid", "80", "10.0.0.1")[0] == 65
    assert wrong("-B", "192.0.2.1", "80", "10.0.0.1")[0] == 71
    assert wrong("-m", "x", "80", "10.0.0.1")[0] == 69
    assert wrong("80", "!")[0] == 64


def test_what_can_run_is_a_layout():
    words = ["-b", "::ffff:127.0.0.1", "-B", "localhost", "-m", "connect:rise=2:fall=4"]
    prepared = prepare(parse_arguments([*words, "80", "10.0.0.1", "10.0.0.2"]), 80)

    settings = prepared.layout.settings
    assert (settings.bind, settings.rise, settings.fall) == ("127.0.0.1", 2, 4)
    assert settings.arguments.source in ("127.0.0.1", "::1")
    assert prepared.monitoring is not None
    assert len(prepared.layout.shape.places) == 2


def test_a_port_in_use_is_71_and_nothing_is_left(short_path, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_RUNTIME_DIR", str(short_path))
    monkeypatch.setattr("fairlead.compat.serve.catch_early", list)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["-b", "127.0.0.1", str(port), "10.0.0.1"]
        prepared = prepare(parse_arguments(words), port)
        with pytest.raises(ExitError, match="address already in use") as caught:
            serve(prepared, lambda _: None, lambda: None)

    assert caught.value.code == 71
    assert list(short_path.iterdir()) == []
