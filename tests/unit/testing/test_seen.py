"""What a fake backend saw."""

import threading

from fairlead.testing.seen import Seen, SeenRequest


def request(target="/a?x=1"):
    return SeenRequest(1, "GET", target, (("host", "x"), ("a", "1"), ("a", "2")), b"", 0, b"")


def test_requests_are_kept_and_counted_by_path():
    seen = Seen()
    seen.add_request(request())
    seen.add_request(request("/b"))
    assert (seen.hits(), seen.hits("/a"), seen.hits("/c")) == (2, 1, 0)
    assert [each.path for each in seen.requests("/b")] == ["/b"]


def test_memory_is_bounded():
    seen = Seen()
    for number in range(3_000):
        seen.add_request(request(f"/{number}"))
        seen.add_garbled(str(number))
    assert len(seen.requests()) == 1_000
    assert len(seen._by_path) == 1_000
    assert len(seen.garbled) <= 101
    assert seen.hits() == 3_000


def test_headers_are_found_in_any_case():
    assert request().header("A") == "1"
    assert request().header("nope") is None


def test_waiting_ends_when_enough_came():
    seen = Seen()
    thread = threading.Timer(0.02, lambda: (seen.add_connection(), seen.add_request(request())))
    thread.start()
    assert seen.wait(hits=1, connections=1, path="/a", timeout_seconds=5)
    assert not seen.wait(hits=2, connections=0, path=None, timeout_seconds=0.01)
    thread.join()


def test_connections_and_bytes_are_counted():
    seen = Seen()
    assert [seen.add_connection(), seen.add_connection()] == [1, 2]
    seen.end_connection()
    seen.add_bytes(5)
    assert (seen.connections, seen.open, seen.bytes_in) == (2, 1, 5)
