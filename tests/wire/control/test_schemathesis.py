"""All that `/openapi.json` allows, and much that it doesn't, played by schemathesis.

It makes requests from the description and holds the answers against it: statuses, forms, headers,
what is refused and what isn't, methods that are not there, tokens that are wrong. The long play is
`make schemathesis`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.backend import free_port
from harness.balancer import loopback
from harness.config import site

TOKEN = "0123456789abcdef0123"

# A stream of events has no end; and 422 is for what a schema can't say: names that don't resolve,
# configurations whose parts don't fit. Nothing else that the schema allows may be refused.
SETTINGS = """
[parameters]
"path.pool" = "app"

[[operations]]
include-name = "GET /v1/events"
parameters = { "query.follow" = "0" }

[[operations]]
include-path-regex = "/v1/(config|pools/.*)"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]
"""


def _play(fairlead, folder: Path, examples: int) -> None:
    port = free_port()
    admin = f'[admin]\nlisten = "127.0.0.1:{port}"\ntoken = "{TOKEN}"'
    balancer = fairlead(config=site(loopback(), "127.0.0.1:1", "127.0.0.1:2", more=admin))
    (folder / "schemathesis.toml").write_text(SETTINGS)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"http://127.0.0.1:{port}/openapi.json",
            f"--header=Authorization: Bearer {TOKEN}",
            "--checks=all",
            f"--max-examples={examples}",
            "--request-timeout=10",
            "--no-color",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 18" in done.stdout, done.stdout
    assert "\u274c" not in done.stdout, done.stdout
    assert balancer.api("GET", "/healthz") == (200, {"status": "ok"})


needs_it = pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="misses schemathesis"
)


@needs_it
@pytest.mark.slow
@pytest.mark.timeout(120)  # it computes for 7 s, in a program of its own
def test_schemathesis_finds_nothing_in_a_short_play(fairlead, tmp_path: Path) -> None:
    _play(fairlead, tmp_path, examples=5)


@needs_it
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_schemathesis_finds_nothing_in_a_long_play(fairlead, tmp_path: Path) -> None:
    """As many examples of each operation as ``EXAMPLES`` says."""
    _play(fairlead, tmp_path, examples=int(os.environ.get("EXAMPLES", "300")))
