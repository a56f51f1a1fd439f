from __future__ import annotations

import pytest

TEXT = '[listeners.web]\nbind = ":0"\npool = "app"\n[pools.app]\nbackends = ["127.0.0.1:1"]\n'


@pytest.fixture
def served(monkeypatch):
    """What was launched, and loaded again, instead of serving it."""
    made = []

    def launch(load):
        first = load(None)
        made.extend([first, load(first)])
        return 0

    monkeypatch.setattr("fairlead.cli.launch.launch", launch)
    return made


def test_a_file_is_served_and_read_again(run, served, environment):
    (environment / "shop.toml").write_text(TEXT)

    assert run("run", "shop.toml") == (0, "", "")
    assert [loaded.source for loaded in served] == ["shop.toml", "shop.toml"]


def test_without_a_name_the_first_of_the_places_is_served(run, served, environment, monkeypatch):
    folder = environment / ".config/fairlead"
    folder.mkdir(parents=True)
    (folder / "fairlead.toml").write_text(TEXT)
    run("run")
    (environment / "fairlead.toml").write_text(TEXT)
    run("run")
    monkeypatch.setenv("FAIRLEAD_CONFIG", str(folder / "fairlead.toml"))
    run("run")

    assert [loaded.source for loaded in served[::2]] == [
        str(folder / "fairlead.toml"),
        "fairlead.toml",
        str(folder / "fairlead.toml"),
    ]


def test_without_any_file_the_places_are_told(run):
    done = run("run")

    assert (done.code, done.out) == (2, "")
    assert "`fairlead.toml`" in done.err
    assert "/etc/fairlead/fairlead.toml" in done.err


def test_a_wrong_file_is_2(run, served, environment):
    (environment / "fairlead.toml").write_text(TEXT.replace("backends", "bakcends"))
    done = run("run")

    assert (done.code, served) == (2, [])
    assert "did you mean `backends`?" in done.err
