"""Which behaviour comes next."""

from fairlead.testing.script import Answer, Raw, Script

RESET = Raw(then="reset")


def test_the_usual_is_a_good_answer():
    assert Script().next("/") == Answer()


def test_a_number_of_times_then_as_before():
    script = Script()
    script.set(Answer(404))
    script.set(RESET, times=2)
    assert [script.next("/") for _ in range(3)] == [RESET, RESET, Answer(404)]


def test_the_longest_prefix_wins():
    script = Script()
    script.set(RESET, path="/a")
    script.set(Answer(204), path="/a/b")
    assert script.next("/a/b/c") == Answer(204)
    assert script.next("/a/x") == RESET
    assert script.next("/b") == Answer()


def test_a_prefix_that_is_used_up_gives_way():
    script = Script()
    script.set(RESET, path="/a", times=1)
    assert [script.next("/a") for _ in range(2)] == [RESET, Answer()]


def test_something_for_all_forgets_what_was_for_some():
    script = Script()
    script.at_accept = RESET
    script.set(RESET, path="/a")
    script.set(Answer(201))
    assert script.next("/a") == Answer(201)
    assert script.at_accept is None


def test_slow_keeps_the_answer():
    script = Script()
    script.set(Answer(201, b"x"))
    script.slow_down(0.5, 0.1)
    assert script.next("/") == Answer(201, b"x", delay_seconds=0.5, between_seconds=0.1)
    script.set(RESET)
    script.slow_down(0.5, 0.0)
    assert script.next("/").status == 200
