"""What Python adds to the engine's text."""

from pathlib import Path

from fairlead.control.metrics import Family, families, render

POLICY = Family("fairlead_policy", "counter", "Calls", (((("pool", 'a"b\\c\nd'),), 3.0),))


def test_a_counter_is_named_as_its_dialect_wants_it():
    plain = render(b"before\n", [POLICY], openmetrics=False).decode()
    strict = render(b"before\n", [POLICY], openmetrics=True).decode()

    assert plain.splitlines() == [
        "before",
        "# HELP fairlead_policy_total Calls.",
        "# TYPE fairlead_policy_total counter",
        'fairlead_policy_total{pool="a\\"b\\\\c\\nd"} 3.0',
    ]
    assert "# TYPE fairlead_policy counter" in strict
    assert strict.endswith("# EOF\n")


def test_version_events_and_the_process_are_told():
    told = {family.name: family for family in families("1.2.3", {"health": 2, "applied": 1})}

    assert told["fairlead_build_info"].samples == (((("version", "1.2.3"),), 1.0),)
    assert told["fairlead_events"].samples == (
        ((("event", "applied"),), 1.0),
        ((("event", "health"),), 2.0),
    )
    assert told["process_open_fds"].samples[0][1] >= 3
    assert told["process_resident_memory_bytes"].samples[0][1] > 1 << 20


def test_what_the_system_does_not_say_is_left_out(monkeypatch):
    def nothing(_):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "iterdir", nothing)

    assert "process_open_fds" not in {family.name for family in families("1", {})}
