from __future__ import annotations

import json

from fairlead import _engine


def test_the_version_for_people_and_for_programs(run):
    assert run("version", "--json").code == 0
    assert json.loads(run("version", "--json").out) == {"version": _engine.VERSION}


def test_the_command_says_the_same_as_the_short_way(run):
    # `main` answers the bare word itself, without click.
    from fairlead.cli.commands.version import version

    version.callback(as_json=False)

    assert run("version").out.splitlines() == [f"fairlead {_engine.VERSION}"] * 2
