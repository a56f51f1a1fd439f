"""Active checks: tcp, http, command; rise and fall; events that say why."""

from __future__ import annotations

import threading
import time

import pytest

from harness.backend import free_port, keeping, response, saying
from harness.balancer import loopback, wait_for
from harness.config import site, table

FAST = 'interval = "100ms", timeout = "200ms", rise = 2, fall = 3'
PATIENT = 'interval = "100ms", timeout = "5s", rise = 2, fall = 3'
"""Where one check that fails by the machine's lateness would be one too many."""
POST = "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n"


def transitions(balancer, address: str) -> list[tuple[str, str]]:
    """The changes of health of a backend, oldest first."""
    return [
        (event["from"], event["to"])
        for event in balancer.events()
        if event["event"] == "health" and event["backend"] == address
    ]


def test_a_tcp_check_finds_who_listens(fairlead, backend) -> None:
    one, dead = backend(), f"127.0.0.1:{free_port()}"
    balancer = fairlead(config=site(loopback(), one, dead, check=f'type = "tcp", {FAST}'))

    balancer.wait_for_health(one.address, "healthy")
    row = balancer.wait_for_health(dead, "down")

    assert "refused" in row["reason"]
    assert row["since"] is not None


def test_checks_connect_from_the_source_that_traffic_has(fairlead, backend) -> None:
    """A firewall may let one address in and not another. Each source asks for itself."""
    peers: list[str] = []

    def play(line) -> None:
        peers.append(line.socket.getpeername()[0])
        keeping(lambda _: response())(line)

    one, listen = backend(play), loopback()
    other = f"""
        [pools.other]
        backends = ["{one.address}"]
        source = "127.0.0.7"
        check = {{ type = "tcp", {FAST} }}
        [listeners.other]
        bind = "{loopback()}"
        pool = "other"
    """
    check = f'type = "tcp", {FAST}'
    balancer = fairlead(
        config=site(listen, one, pool='source = "127.0.0.9"', check=check, more=other)
    )

    wait_for(lambda: len(set(peers)) > 1)
    assert set(peers) == {"127.0.0.9", "127.0.0.7"}
    with balancer.connect(listen) as line:
        assert line.get().status == 200


def test_checks_come_before_traffic(fairlead, backend) -> None:
    """A dead backend is known to be dead when the first client comes."""
    one, dead = backend(), f"127.0.0.1:{free_port()}"
    listen = loopback()
    balancer = fairlead(config=site(listen, dead, one, check='type = "tcp"'))

    assert balancer.backends()[dead]["health"] in ("suspect", "down")
    assert balancer.backends()[one.address]["health"] == "healthy"
    assert balancer.connect(listen).get().status == 200


def test_it_starts_though_every_backend_is_dead(fairlead) -> None:
    started = time.monotonic()

    fairlead(config=site(loopback(), f"127.0.0.1:{free_port()}", check='type = "tcp"'))

    assert time.monotonic() - started < 5


def test_an_http_check_looks_at_the_status(fairlead, backend) -> None:
    status = ["200 OK"]
    one = backend(keeping(lambda _: response(b"", status[0])))
    balancer = fairlead(
        config=site(loopback(), one, check=f'type = "http", path = "/healthz", {FAST}')
    )
    balancer.wait_for_health(one.address, "healthy")

    status[0] = "500 Internal Server Error"
    row = balancer.wait_for_health(one.address, "down")
    assert "500" in row["reason"]

    status[0] = "302 Found"
    balancer.wait_for_health(one.address, "healthy")
    assert one.requests[0].target == "/healthz"
    assert one.requests[0].method == "GET"
    assert one.requests[0].has("Host")


def test_the_expected_statuses_can_be_set(fairlead, backend) -> None:
    one = backend(saying("well"))
    balancer = fairlead(
        config=site(
            loopback(), one, check=f'type = "http", path = "/", expect_status = "204,418", {FAST}'
        )
    )

    assert "200" in balancer.wait_for_health(one.address, "down")["reason"]


def test_fall_failures_in_a_row_make_it_down(fairlead, backend) -> None:
    """One alone makes it suspect: used only when nobody better is there."""
    answers = iter([True, True, False, True, False, False, True] + [True] * 3 + [False] * 3)
    done = threading.Event()

    def answer(_) -> bytes:
        well = next(answers, None)
        if well is None:
            done.set()
            return response(b"", "500 No")
        return response(b"", "200 OK" if well else "500 No")

    one = backend(keeping(answer))
    check = f'type = "http", path = "/", {PATIENT}'
    balancer = fairlead(config=site(loopback(), one, check=check))
    assert done.wait(10)
    balancer.wait_for_health(one.address, "down")

    assert transitions(balancer, one.address) == [
        ("unknown", "healthy"),
        ("healthy", "suspect"),
        ("suspect", "healthy"),
        ("healthy", "suspect"),
        ("suspect", "healthy"),
        ("healthy", "suspect"),
        ("suspect", "down"),
    ]


def test_rise_passes_in_a_row_bring_it_back(fairlead, backend) -> None:
    one = backend()
    one.refuse()
    balancer = fairlead(
        config=site(loopback(), one, check='type = "tcp", interval = "200ms", rise = 3, fall = 1')
    )
    balancer.wait_for_health(one.address, "down")
    one.listen_again()
    started = time.monotonic()
    balancer.wait_for_health(one.address, "healthy")

    assert time.monotonic() - started > 0.05, "one pass is not enough"
    why = balancer.events()[-1]["why"]
    assert "3 in a row" in why


def test_an_event_says_what_why_and_how_many_in_a_row(fairlead) -> None:
    dead = f"127.0.0.1:{free_port()}"
    balancer = fairlead(config=site(loopback(), dead, check=f'type = "tcp", {FAST}'))
    balancer.wait_for_health(dead, "down")

    event = [event for event in balancer.events() if event["event"] == "health"][-1]

    assert event["pool"] == "app"
    assert event["backend"] == dead
    assert (event["from"], event["to"]) == ("suspect", "down")
    assert "check" in event["why"]
    assert "refused" in event["why"]
    assert "3 in a row" in event["why"]
    assert event["time"].endswith("Z")


def test_a_check_that_hangs_is_a_failure(fairlead, backend) -> None:
    one = backend(lambda line: (line.read_request(), line.read_some()))
    balancer = fairlead(config=site(loopback(), one, check=f'type = "http", path = "/", {FAST}'))

    row = balancer.wait_for_health(one.address, "down")

    assert "no answer" in row["reason"], row


def test_down_backends_get_no_traffic_and_come_back_by_themselves(fairlead, backend) -> None:
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, check=f'type = "tcp", {FAST}'))
    line = balancer.connect(listen)
    assert {line.get().body for _ in range(10)} == {b"one", b"two"}

    one.refuse()
    one.cut()
    balancer.wait_for_health(one.address, "down")
    assert {line.get().body for _ in range(10)} == {b"two"}

    one.listen_again()
    balancer.wait_for_health(one.address, "healthy")
    assert {line.get().body for _ in range(10)} == {b"one", b"two"}


def test_with_all_down_clients_get_503_at_once_and_the_first_back_is_used(
    fairlead, backend
) -> None:
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, check=f'type = "tcp", {FAST}'))
    for each in (one, two):
        each.refuse()
        each.cut()
    for each in (one, two):
        balancer.wait_for_health(each.address, "down")

    line = balancer.connect(listen)
    started = time.monotonic()
    answer = line.get()
    assert (answer.status, answer.reason) == (503, "no_backend")
    assert time.monotonic() - started < 1, "a connect may take that long"

    two.listen_again()
    balancer.wait_for_health(two.address, "healthy")
    assert line.get().body == b"two"


def test_the_check_of_one_pool_is_no_verdict_on_the_other(fairlead, backend) -> None:
    """Equal addresses, different pages: they must not push each other over their thresholds."""
    one = backend(
        keeping(lambda request: response(b"", "200 OK" if request.target == "/well" else "500 No"))
    )
    config = f"""
        [listeners.a]
        bind = "{loopback()}"
        pool = "a"
        [listeners.b]
        bind = "{loopback()}"
        pool = "b"
        [pools.a]
        backends = ["{one.address}"]
        check = {{ type = "http", path = "/well", {PATIENT} }}
        [pools.b]
        backends = ["{one.address}"]
        check = {{ type = "http", path = "/ill", {FAST} }}
    """
    balancer = fairlead(config=config)

    wait_for(lambda: balancer.backends("b")[one.address]["health"] == "down")
    assert balancer.backends("a")[one.address]["health"] == "healthy"


def test_equal_checks_are_made_once(fairlead, backend) -> None:
    one = backend(saying(""))
    pools = "".join(
        f"""
        [listeners.l{number}]
        bind = "{loopback()}"
        pool = "p{number}"
        [pools.p{number}]
        backends = ["{one.address}"]
        check = {{ type = "http", path = "/healthz", interval = "500ms" }}
        """
        for number in range(10)
    )
    balancer = fairlead(config=pools)
    before = len(one.requests)
    time.sleep(2)
    made = len(one.requests) - before

    assert made <= 8, "10 pools with one check each: one probe serves them all"
    assert all(
        balancer.backends(f"p{number}")[one.address]["health"] == "healthy" for number in range(10)
    )


def test_checks_do_not_come_in_bursts(fairlead, backend) -> None:
    """Jitter: thirty backends with one interval are not probed in the same moment."""
    times: list[float] = []
    lock = threading.Lock()

    def answer(_) -> bytes:
        with lock:
            times.append(time.monotonic())
        return response(b"")

    backends = [backend(keeping(answer)) for _ in range(30)]
    fairlead(
        config=site(loopback(), *backends, check='type = "http", path = "/", interval = "500ms"')
    )
    start = time.monotonic()
    time.sleep(2.5)
    late = [moment - start for moment in times if moment - start > 0.5]

    assert len(late) > 60
    # In bursts, they would be in five of these 100. A machine that stood still for a second in all,
    # and gets what was due meanwhile at once, still leaves 50 in which there are some.
    assert len({int(moment / 0.02) for moment in late}) > 20


@pytest.mark.parametrize(
    ("command", "health"), [("exit 0", "healthy"), ("echo too full; exit 3", "down")]
)
def test_a_command_decides_by_its_exit_code(fairlead, backend, command: str, health: str) -> None:
    one = backend()
    check = f'type = "command", command = "{command}", {FAST}'
    balancer = fairlead(config=site(loopback(), one, check=check))

    row = balancer.wait_for_health(one.address, health)

    if health == "down":
        assert "too full" in row["reason"]


def test_a_command_learns_whom_it_checks(fairlead, backend) -> None:
    one, two = backend(), backend()
    port = one.address.rpartition(":")[2]
    check = f"""type = "command", command = 'test "$FAIRLEAD_PORT" = {port}', {FAST}"""
    balancer = fairlead(config=site(loopback(), one, two, check=check))

    balancer.wait_for_health(one.address, "healthy")
    balancer.wait_for_health(two.address, "down")


def test_a_command_that_hangs_is_killed_and_a_failure(fairlead, backend) -> None:
    one = backend()
    check = f"type = \"command\", command = 'sleep 600', {FAST}"
    balancer = fairlead(config=site(loopback(), one, check=check))

    balancer.wait_for_health(one.address, "down")


# --------------------------------------------------------------------------- evidence from traffic


def test_traffic_shows_what_no_check_looks_at(fairlead, backend) -> None:
    """Without any check: failures of requests take a backend out, a trial brings it back."""
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two))
    line = balancer.connect(listen)
    assert {line.get().body for _ in range(4)} == {b"one", b"two"}
    one.refuse()
    one.cut()

    for _ in range(20):
        assert line.get().body == b"two"
    assert balancer.backends()[one.address]["health"] in ("suspect", "down")
    assert any(
        "traffic" in event["why"] for event in balancer.events() if event["event"] == "health"
    )

    one.listen_again()
    wait_for(lambda: line.get().body == b"one", 10)
    wait_for(lambda: line.get() and balancer.backends()[one.address]["health"] == "healthy", 10)


def test_a_suspect_backend_is_the_last_choice_not_no_choice(fairlead, backend) -> None:
    one = backend(saying("one"))
    listen = loopback()
    check = 'type = "http", path = "/", interval = "10s", fall = 5'
    balancer = fairlead(config=site(listen, one, check=check))
    line = balancer.connect(listen)
    one.refuse()
    one.cut()
    assert line.get().status == 503
    assert balancer.backends()[one.address]["health"] == "suspect"
    one.listen_again()

    assert line.get().body == b"one"


def test_a_backend_in_doubt_is_probed_sooner(fairlead, backend) -> None:
    """The interval is 10 s; the failed request makes it a matter of a second or so."""
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, check='type = "tcp", interval = "10s"'))
    line = balancer.connect(listen)
    line.get()
    line.get()
    one.refuse()
    one.cut()
    for _ in range(4):
        assert line.get().body == b"two"

    balancer.wait_for_health(one.address, "down", patience=6)


# --------------------------------------------------------------------------------- operator's wishes


def test_wishes_and_health_are_apart(fairlead, backend) -> None:
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two, check=f'type = "tcp", {FAST}'))
    line = balancer.connect(listen)
    path = f"/v1/pools/app/backends/{one.address}"

    for state in ("draining", "disabled"):
        assert balancer.api("PATCH", path, {"state": state})[0] == 200
        row = balancer.backends()[one.address]
        assert (row["state"], row["health"]) == (state, "healthy")
        assert {line.get().body for _ in range(10)} == {b"two"}

    assert balancer.api("PATCH", path, {"state": "enabled"})[0] == 200
    assert {line.get().body for _ in range(10)} == {b"one", b"two"}
    assert any(event["event"] == "wish" for event in balancer.events())


def test_draining_lets_what_is_under_way_finish(fairlead, backend) -> None:
    gate = threading.Event()

    def hold(line) -> None:
        while line.read_request():
            gate.wait(10)
            line.send(response(b"finished"))

    one, two = backend(hold), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(
        config=site(listen, one, table(two, group=1), pool='retry = { hedge = "off" }')
    )
    line = balancer.connect(listen)
    line.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    wait_for(lambda: balancer.backends()[one.address]["active"] == 1)

    balancer.api("PATCH", f"/v1/pools/app/backends/{one.address}", {"state": "draining"})
    assert balancer.connect(listen).get().body == b"two"
    gate.set()

    assert line.read_response().body == b"finished"


def test_a_weight_can_be_changed(fairlead, backend) -> None:
    one, two = backend(saying("one")), backend(saying("two"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, two))

    assert balancer.api("PATCH", f"/v1/pools/app/backends/{one.address}", {"weight": 3})[0] == 200

    line = balancer.connect(listen)
    # POSTs: what a busy machine makes late is not put to the other one, too.
    bodies = [line.ask(POST).body for _ in range(40)]
    assert bodies.count(b"one") == 30


def test_failures_never_disable_for_good(fairlead, backend) -> None:
    one = backend(saying("one"))
    listen = loopback()
    balancer = fairlead(config=site(listen, one, check=f'type = "tcp", {FAST}'))
    line = balancer.connect(listen)

    for _ in range(3):
        one.refuse()
        one.cut()
        balancer.wait_for_health(one.address, "down")
        one.listen_again()
        wait_for(lambda: line.get().status == 200, 25)
        assert balancer.backends()[one.address]["state"] == "enabled"
