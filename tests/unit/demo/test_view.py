"""How the demo looks: as a table and as lines."""

import io
import sys

import pytest
from rich.console import Console

from fairlead.demo.scenario import Act
from fairlead.demo.tally import Batch, Tally
from fairlead.demo.view import Live, Plain, Scene, choose
from fairlead.model import Backend


def backend(**row):
    return Backend.from_json("trees", {"address": "127.0.0.1:1", **row})


@pytest.fixture
def scene():
    tally = Tally()
    tally.add(Batch([1.0] * 30, [], {"ash": 10, "birch": 20}), now=0)
    tally.add(Batch([250.0], ["HTTP/1.1 503"], {"ash": 1}), now=1)
    backends = {
        "ash": backend(health="healthy", failures=3, active=2, latency_ms={"p50": 1.2, "p99": 9}),
        "birch": backend(health="down", reason="check: no answer (within 400 ms), 3 in a row"),
        "cedar": backend(health="healthy", state="draining"),
        "oak": backend(health="healthy", group=1),
    }
    return Scene(7.6, 15, backends, [Act(2.5, 9, ("birch",), "freeze")], tally)


def drawn(scene, width):
    """What the live view draws on a terminal of this width."""
    live = Live()
    live._console = Console(file=io.StringIO(), width=width, height=40, force_terminal=False)
    live._live.update = lambda group, **_: live._console.print(group)
    live.line(6.5, "  fairlead: birch suspect -> down")
    live.show(scene)
    return live._console.file.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_says_who_gets_what_and_who_is_out_and_why(scene, width):
    text = drawn(scene, width)
    lines = text.splitlines()
    assert all(len(line) <= width for line in lines)
    assert any(line.startswith("birch") and "down" in line and "65%" in line for line in lines)
    assert any(line.startswith("cedar") and "draining" in line for line in lines)
    assert "oak (reserve)" in text
    assert "frozen (SIGSTOP) · check: no answer" in text
    assert "8 of 15 s · clients: 32 requests, 1 errors" in text
    assert "fairlead: birch suspect -> down" in text


def test_a_live_view_starts_draws_and_leaves(scene, capsys):
    live = Live()
    live.start(["fairlead demo: …"])
    live.show(scene)
    live.line(1.0, "something")
    live.show(scene)
    live.stop()
    assert "fairlead demo" in capsys.readouterr().err


def test_lines_come_as_things_happen_and_every_two_seconds(scene, capsys):
    plain = Plain()
    plain.start(["hello"])
    plain.line(1.0, "ash: well again")
    plain.show(scene)
    plain.show(scene)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["hello", "  1.00 s  ash: well again"]
    assert "32 requests, 1 errors" in lines[2]
    assert "birch:down:65%" in lines[2]
    assert len(lines) == 5 - 1
    plain.stop()


@pytest.mark.parametrize(
    ("terminal", "term", "kind"),
    [(True, "xterm", Live), (True, "dumb", Plain), (False, "xterm", Plain)],
)
def test_a_table_is_drawn_only_where_it_can_be(terminal, term, kind, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("TERM", term)
    assert isinstance(choose(), kind)
