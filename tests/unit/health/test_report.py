"""From a check's result to the engine."""

from fairlead.health.report import REASON_CHARACTERS_MAX, Result, first_line, report_to


def test_a_result_reaches_the_engine():
    seen = []
    report_to(lambda *row: seen.append(row), "app", "a:1", Result(passed=False, what="late"))
    assert seen == [("app", "a:1", False, "late")]


def test_a_backend_that_is_gone_meanwhile_is_no_error():
    def report(*_):
        raise KeyError("a:1")

    report_to(report, "app", "a:1", Result(passed=True, what=""))


def test_what_is_told_is_short_and_printable():
    assert first_line(b"x" * 5000) == "x" * REASON_CHARACTERS_MAX
    assert first_line(b"\xff\xfe broken") == "\ufffd\ufffd broken"
    assert first_line(b" \n\t\n") == ""
