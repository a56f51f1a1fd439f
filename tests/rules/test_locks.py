"""Each lock that a worker can come to is one that is counted (crates/fairlead-balance/src/lock.rs)."""

from __future__ import annotations

import re

from harness.sources import files, name, text

# Files whose locks no worker's thread ever takes, and who does. May only shrink.
OTHERS = {
    "crates/fairlead-balance/src/lock.rs": "the counted one itself",
    "crates/fairlead-engine/src/engine.rs": "who calls the engine from outside",
    "crates/fairlead-engine/src/heed.rs": "its own thread, and Python's",
    "crates/fairlead-engine/src/policy/seat.rs": "whoever sits there: a thread of Python",
    "crates/fairlead-engine/src/sampler.rs": "its own thread, and who calls the engine",
    "crates/fairlead-engine/src/stand_in.rs": "its own thread, and Python's",
    "crates/fairlead-engine/src/thread.rs": "who ends a thread beside the workers",
    "crates/fairlead-engine/src/watchdog.rs": "its own thread, and who calls the engine",
}


def test_every_lock_that_a_worker_can_take_is_counted() -> None:
    found = {
        name(path)
        for path in files(".rs")
        if re.match(r"crates/fairlead-(model|proto|balance|flow|engine)/src/", name(path))
        and "tests" not in path.with_suffix("").parts
        and re.search(r"\b(Mutex|RwLock)\b", _without_tests(text(path)))
    }

    assert found == set(OTHERS), "take a `Lock` (fairlead-balance), which a test can count"


def _without_tests(source: str) -> str:
    code, _, _ = source.partition("#[cfg(test)]\nmod tests {")
    return re.sub(r"//[^\n]*", "", code)
