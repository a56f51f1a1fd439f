from __future__ import annotations


def test_the_demo_runs(run, monkeypatch):
    asked = []

    def demo(seconds, *, json):
        asked.append((seconds, json))
        return 1

    monkeypatch.setattr("fairlead.demo.run", demo)

    assert run("demo").code == 1
    assert run("demo", "--seconds", "2.5", "--json").code == 1
    assert asked == [(None, False), (2.5, True)]


def test_a_demo_of_no_time_is_2(run):
    assert run("demo", "--seconds", "0").code == 2
