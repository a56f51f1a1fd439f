"""`fairlead simulate`: faults played on a configuration, in virtual time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fairlead.cli.commands.simulate import FAULTS, simulate

CONFIG = """
[listeners.web]
bind = "127.0.0.1:0"
pool = "app"

[listeners.db]
bind = "127.0.0.1:0"
protocol = "tcp"
pool = "db"

[pools.app]
backends = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]

[pools.db]
backends = ["10.0.0.1:5432"]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "fairlead.toml"
    path.write_text(CONFIG)
    return str(path)


def played(*arguments):
    return CliRunner().invoke(simulate, ["--seeds", "1", *arguments], standalone_mode=False)


def test_each_fault_is_played_and_costs_nothing_that_may_be_repeated(config):
    done = played(config, "--json")

    rows = json.loads(done.stdout)["plays"]
    assert [row["fault"] for row in rows] == list(FAULTS)
    for row in rows:
        assert row["requests"] > 1000
        # Half of the answers errors: two may be seen before it is known whose they are. What has
        # begun can't be taken back: ten are enough to learn from, and a few try it again.
        allowed = {"errors": 2, "cuts": 10 + 4}.get(row["fault"], 0)
        assert row["failed"] - row["failed_posts"] <= allowed, row
        assert row["back_seconds"] is not None, row


def test_all_gone_at_once_is_seen(config):
    done = played(config, "--json", "--backend", "all", "--fault", "killed")

    row = json.loads(done.stdout)["plays"][0]
    assert row["failed"] > 300
    assert set(row["reasons"]) <= {"503 no_backend", "503 connect_refused", "502 backend_reset"}


def test_the_same_seed_says_the_same(config):
    arguments = (config, "--json", "--fault", "loss30", "--seed", "7")

    assert played(*arguments).stdout == played(*arguments).stdout


def test_people_get_a_table(config):
    done = played(config, "--fault", "frozen", "--backend", "10.0.0.2:80")

    assert done.stdout.splitlines()[0].split()[:3] == ["POOL", "BACKEND", "FAULT"]
    assert "10.0.0.2:80" in done.stdout


def test_a_pool_for_tcp_is_left_out_and_told(config):
    done = played(config, "--fault", "frozen")

    assert "10.0.0.1:80" in done.stdout
    assert "pool db is for tcp" in done.stderr


def test_an_address_is_played_in_the_pools_that_have_it(config):
    path = Path(config)
    path.write_text(
        CONFIG.replace('pool = "app"', 'routes = [{path = "/x", pool = "shop"}, {pool = "app"}]')
        + '[pools.shop]\nbackends = ["10.0.0.2:80", "10.0.0.9:80"]\n'
    )

    def pools(*arguments):
        done = played(config, "--json", "--fault", "killed", *arguments)
        return [(row["pool"], row["backend"]) for row in json.loads(done.stdout)["plays"]]

    assert pools("--backend", "10.0.0.9:80") == [("shop", "10.0.0.9:80")]
    assert pools("--backend", "10.0.0.2:80") == [("app", "10.0.0.2:80"), ("shop", "10.0.0.2:80")]
    assert pools("--backend", "10.0.0.2:80", "--pool", "app") == [("app", "10.0.0.2:80")]
    assert pools() == [("app", "10.0.0.1:80"), ("shop", "10.0.0.2:80")]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--pool", "shop"), "there is no pool `shop`"),
        (("--backend", "10.0.0.9:80"), "has no backend `10.0.0.9:80`"),
        (("--seconds", "-1"), "can't be played"),
        (("--rate", "-1"), "`-1` is not a whole number from 1 on"),
        (("--rate", "0"), "`0` is not a whole number from 1 on"),
        (("--seeds", "-1"), "`-1` is not a whole number from 1 on"),
        (("--seeds", "0"), "`0` is not a whole number from 1 on"),
        (("--seed", "-1"), "`-1` is not a whole number"),
    ],
)
def test_what_can_not_be_played_is_said(config, arguments, problem):
    done = played(config, "--fault", "killed", *arguments)

    assert problem in str(done.exception)
