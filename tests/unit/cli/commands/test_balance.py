"""How it is declared; what it does is tested in tests/unit/cli/test_drop_in.py."""

from __future__ import annotations

from fairlead.cli.commands.balance import balance


def test_its_words_are_balances_own(monkeypatch):
    seen = []
    monkeypatch.setattr("fairlead.cli.drop_in.run", lambda words: seen.append(words) or 64)

    words = ["-a", "--compat=strict", "-t", "5", "80", "a", "!", "b"]
    code = balance.main(words, standalone_mode=False)

    assert (code, seen) == (64, [tuple(words)])
