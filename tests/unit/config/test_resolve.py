from __future__ import annotations

import socket
import threading
import time

import pytest

from fairlead.config import resolve
from fairlead.config.resolve import Answer, follow, resolve_all, system_resolver


def test_nothing_to_resolve_starts_no_thread():
    before = threading.active_count()

    assert resolve_all([], system_resolver) == {}
    assert threading.active_count() == before


def test_names_are_resolved_side_by_side():
    def slow(name: str) -> Answer:
        time.sleep(0.1)
        return Answer((name,))

    start = time.monotonic()
    answers = resolve_all([f"app{number}" for number in range(32)], slow)

    assert time.monotonic() - start < 2
    assert answers["app31"] == Answer(("app31",))


def test_more_names_than_threads():
    names = [f"app{number}" for number in range(500)]

    assert set(resolve_all(names, lambda name: Answer((name,)))) == set(names)


def test_nobody_waits_for_a_resolver_that_hangs():
    end = threading.Event()

    def hangs(name: str) -> Answer:
        if name == "dead":
            end.wait()
        return Answer((name,))

    start = time.monotonic()
    answers = resolve_all(["dead", "live"], hangs, wait_seconds=0.2)
    end.set()

    assert time.monotonic() - start < 2
    assert answers["live"].addresses == ("live",)
    assert answers["dead"] == Answer((), "no answer within 0.2 s")


def test_a_resolver_that_fails_is_an_answer():
    def fails(name: str) -> Answer:
        raise RuntimeError("no luck")

    assert resolve_all(["a"], fails)["a"].problem == "the resolver failed: no luck"


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.0",
        "169.254.255.255",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "fd00:ec2::23",
        "fd20:ce::254",
        "168.63.129.16",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::6464:64c8",
        "2002:a9fe:a9fe::1",
    ],
)
def test_no_name_leads_to_where_clouds_keep_credentials(address):
    both = resolve_all(["app"], lambda _: Answer((address, "10.0.0.1")))
    alone = resolve_all(["app"], lambda _: Answer((address,)))

    assert both["app"] == Answer(("10.0.0.1",))
    assert alone["app"].addresses == ()
    assert alone["app"].problem == (
        f"it leads to {address}, where clouds keep credentials; write the address if it is meant"
    )


@pytest.mark.parametrize(
    "address",
    [
        "169.253.255.255",
        "169.255.0.0",
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "fe80::1%2",
        "64:ff9b::a00:1",
    ],
)
def test_other_addresses_of_a_name_are_used(address):
    assert resolve_all(["app"], lambda _: Answer((address,)))["app"] == Answer((address,))


def test_the_system_is_asked(monkeypatch):
    found = [
        (socket.AF_INET6, 1, 6, "", ("fe80::1%eth0", 0, 0, 2)),
        (socket.AF_INET6, 1, 6, "", ("2001:db8::1", 0, 0, 0)),
        (socket.AF_INET, 1, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, 1, 6, "", ("192.0.2.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(resolve, "_has_ipv6", lambda: True)

    assert system_resolver("x").addresses == ("fe80::1%2", "2001:db8::1", "192.0.2.1")

    monkeypatch.setattr(resolve, "_has_ipv6", lambda: False)
    assert system_resolver("x").addresses == ("192.0.2.1",)

    found[:] = found[:1]
    assert "no IPv6" in system_resolver("x").problem


def test_a_name_that_does_not_exist(monkeypatch):
    def missing(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", missing)

    assert system_resolver("x").problem == "name or service not known"


def test_a_name_that_dns_can_not_have(monkeypatch):
    def refuses(*_, **__):
        raise UnicodeError("label too long")

    monkeypatch.setattr(socket, "getaddrinfo", refuses)

    assert system_resolver("x").problem == "no name that DNS could have"


def test_ipv6_is_there_if_its_loopback_address_is(monkeypatch):
    class Refusing(socket.socket):
        def bind(self, _):
            raise OSError

    assert resolve._has_ipv6() in (True, False)
    monkeypatch.setattr(socket, "socket", Refusing)
    assert resolve._has_ipv6() is False


def test_names_that_are_not_wanted_any_more_are_forgotten():
    known = {"a": Answer(("10.0.0.1",)), "b": Answer(("10.0.0.2",))}
    nobody = lambda _: Answer((), "gone")  # noqa: E731

    assert follow(["b"], nobody, known) == ({"b": known["b"]}, {"b": "gone"})
    assert follow(["b"], nobody, known, {"a": "gone"}) == ({"b": known["b"]}, {})
    assert follow(["c"], nobody, known, {}) == ({"c": Answer((), "gone")}, {})
