"""Which backends are checked in which way, and where they are."""

import json
from datetime import timedelta

from fairlead.config.loaded import LoadedConfig
from fairlead.config.parse import Parsed
from fairlead.config.resolve import Answer
from fairlead.config.schema import Backend, Check, Config, Listener, Pool
from fairlead.health.check import places


def test_each_backend_of_the_pools_of_a_kind_has_a_place():
    config = Config(
        listeners={"web": Listener(bind=(":80",), pool="app")},
        pools={
            "app": Pool(
                backends=(Backend("[::1]:80"), Backend("unix:/run/app")),
                check=Check(type="python", function="m:f", interval=timedelta(seconds=4)),
            ),
            "other": Pool(backends=(Backend("10.0.0.2:80"),)),
        },
    )
    loaded = LoadedConfig(Parsed(config, {}), "x", lambda _: Answer(()), {})
    first, second = places(loaded, json.loads(loaded.plan), "python")
    assert (first["pool"], first["backend"], first["name"], first["port"]) == (
        "app",
        "[::1]:80",
        "::1",
        "80",
    )
    assert (first["interval_seconds"], first["fast_interval_seconds"], first["rise"]) == (4, 0.5, 2)
    assert (second["name"], second["port"]) == ("/run/app", "")
    assert not list(places(loaded, json.loads(loaded.plan), "command"))
