"""Each balancer of a published table says its version."""

from __future__ import annotations

import sys

import pytest

from harness.benches import bench

peers, rivals = bench("peers"), bench("failover/rivals")


class Talker(peers.Peer):
    """Says its version below an empty line, with the place where it lies, as Envoy does."""

    name = "talker"

    def version(self) -> list[str]:
        return [sys.executable, "-c", f"print('\\n{peers.PEER_HOME}/talker version 1.2  ')"]


class Mute(Talker):
    name = "mute"

    def version(self) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit(1)"]


class Gone(Talker):
    name = "gone"

    def version(self) -> list[str]:
        return ["/nonexistent/balancer", "--version"]


@pytest.mark.parametrize("name", [*peers.STANDARD, *rivals.HTTP, *rivals.TCP])
def test_whoever_is_in_a_standard_run_is_asked_for_a_version(name: str) -> None:
    peer = peers.ALL[name if name in peers.ALL else name.partition("-")[0]]

    assert peer.version() or peer.note


def test_a_version_is_the_first_line_without_the_place_where_it_lies() -> None:
    assert peers.versions_of([Talker()]) == {"talker": "talker version 1.2"}


def test_whoever_says_nothing_is_in_the_table_all_the_same() -> None:
    said = peers.versions_of([Mute(), Gone(), peers.ALL["floor"]])

    assert said == {"mute": "?", "gone": "?", "floor": peers.ALL["floor"].note}


def test_pen_is_what_its_package_is(monkeypatch) -> None:
    """It says no version itself. Asked here about a package that every machine with dpkg has."""
    pen = peers.ALL["pen"]
    monkeypatch.setattr(pen, "wrap", lambda words: [*words[:-1], "dpkg"])

    assert pen.version()[:-1] == ["/usr/bin/dpkg-query", "-W", "-f", "${Package} ${Version}"]
    assert peers.versions_of([pen])["pen"].startswith("dpkg 1.")
