"""Policies in Python that pick: asked about each request, and what a bad one costs."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import time
from pathlib import Path

import pytest

from harness.backend import echo, response
from harness.balancer import loopback, run, wait_for
from harness.config import site

MINE = """
import fairlead

class Mine(fairlead.Policy):
    def pick(self, request, backends):
        {body}
"""
PATIENT = '\npolicy_timeout = "5s"\n'
NO_HEDGE = '\nretry = { hedge = "off" }\n'
"""A hedge would be one request and one decision more; a busy machine is late enough for one."""


@pytest.fixture
def picked(fairlead, backend):
    """A balancer whose policy picks so, before some backends; and the address to ask.

    A policy has 20 ms by default, which is little on a busy machine: only what is about lateness
    says ``patient=False``.
    """

    def start(
        body: str, count: int = 3, pool: str = "", text: str = MINE, patient: bool = True, **more
    ):
        backends = [backend() for _ in range(count)]
        listen = loopback()
        pool += NO_HEDGE + (PATIENT if patient else "")
        config = site(listen, *backends, pool=f'policy = "mine:Mine"\n{pool}', **more)
        balancer = fairlead(config=config, files={"mine.py": text.replace("{body}", body)})
        return balancer, listen, backends

    return start


def ask(balancer, listen: str, count: int, *head: str, target: str = "/") -> float:
    """So many requests on one connection, all answered; how long the longest took."""
    longest = 0.0
    with balancer.connect(listen) as line:
        for _ in range(count):
            began = time.monotonic()
            assert line.get(target, *head).status == 200
            longest = max(longest, time.monotonic() - began)
    return longest


def counts(backends) -> list[int]:
    return [len(each.requests) for each in backends]


def decisions(balancer) -> dict[str, int]:
    """What came of asking, without what never happened."""
    pool = balancer.status()["pools"][0]
    return {result: count for result, count in pool["steps"]["policy_decisions"].items() if count}


def python(balancer) -> dict:
    return dict(balancer.status()["pools"][0]["python"])


def measured(balancer) -> dict[str, int]:
    """What `/metrics` says of the policy: what came of asking, and whether it is stuck."""
    code, text = balancer.text("/metrics")
    assert code == 200
    names = re.compile(
        r'^fairlead_policy_(?:decisions_total|stuck)\{pool="app"(.*)\} (\d+)$', re.MULTILINE
    )
    found = {
        (row[1].removeprefix(',result="').rstrip('"') or "stuck"): int(row[2])
        for row in names.finditer(text)
    }
    return {name: count for name, count in found.items() if count}


def shown(balancer) -> str:
    """The policy's line in the table of `fairlead status`."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(balancer.runtime)}
    lines = run("status", env=environment).stdout.splitlines()
    head = next(place for place, line in enumerate(lines) if "POLICY IN PYTHON" in line)
    return re.sub(" +", " ", lines[head + 1])


def trouble(balancer) -> list[str]:
    return [event["what"] for event in balancer.events() if event["event"] == "policy"]


def test_what_a_policy_picks_gets_the_request(picked) -> None:
    balancer, listen, backends = picked("return backends[2]")

    ask(balancer, listen, 20)

    assert counts(backends) == [0, 0, 20]
    assert decisions(balancer) == {"chosen": 20}
    assert python(balancer)["picks"]
    assert not trouble(balancer)


def test_a_policy_sees_the_request(picked) -> None:
    body = """
        assert (request.method, request.target, request.path) == ("GET", "/a?b=c", "/a")
        assert request.client == "127.0.0.1" and request.client_port > 1024
        assert (request.listener, request.attempts, request.body_prefix) == ("web", 0, b"")
        assert request.headers["X-Forwarded-For"] == "127.0.0.1"
        assert request.headers.all("x-tier") == ["gold"] and "connection" not in request.headers
        assert request.host == request.headers["host"]
        return backends[int(request.headers["x-number"])]"""
    balancer, listen, backends = picked(body)

    for number in (0, 1, 1):
        ask(balancer, listen, 1, f"X-Number: {number}", "X-Tier: gold", target="/a?b=c")

    assert decisions(balancer) == {"chosen": 3}, trouble(balancer)
    assert counts(backends) == [1, 2, 0]


def test_a_policy_sees_what_is_in_flight(picked) -> None:
    """The least busy of the moment, over all workers, also within a batch."""
    balancer, listen, backends = picked("return min(backends, key=lambda one: one.active)")
    lines = [balancer.connect(listen) for _ in range(12)]
    for line in lines:
        line.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for line in lines:
        assert line.read_response().status == 200
        line.close()

    assert sum(counts(backends)) == 12
    assert decisions(balancer) == {"chosen": 12}, trouble(balancer)


def test_the_beginning_of_a_body_is_shown_where_it_is_wanted(picked) -> None:
    body = (
        "return backends[int(request.body_prefix[:1])] if len(request.body_prefix) == 4 else None"
    )
    balancer, listen, backends = picked(body, pool='body_prefix = "4B"')

    with balancer.connect(listen) as line:
        for number in (2, 1, 2):
            line.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
            line.send(b"%dab" % number)
            line.send(b"cde")
            assert line.read_response().status == 200

    assert [message.body for message in backends[1].requests] == [b"1abcde"]
    assert counts(backends) == [0, 1, 2]
    assert decisions(balancer) == {"chosen": 3}


def test_a_retry_asks_again_without_who_failed(picked) -> None:
    body = """
        if request.attempts == 0:
            return backends[0]
        assert len(backends) == 2
        return backends[-1]"""
    balancer, listen, backends = picked(body)
    backends[0].refuse()

    ask(balancer, listen, 1)

    assert counts(backends) == [0, 0, 1]
    assert decisions(balancer) == {"chosen": 2}, trouble(balancer)


BAD = {
    "raises": ("return 1 / 0", "raised ZeroDivisionError: division by zero (mine.py:6, in pick)"),
    "exits": ("raise SystemExit(1)", "raised SystemExit: 1 (mine.py:6, in pick)"),
    "rubbish": ("return 'b:1'", "answered 'b:1', not one of the backends"),
    "a number": ("return 0", "answered 0, not one of the backends"),
    "a stranger": (
        "import dataclasses; return dataclasses.replace(backends[0], address='c:2')",
        "answered `c:2`, which was not offered",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_policy_that_fails_costs_no_request(picked, case: str) -> None:
    body, told = BAD[case]
    balancer, listen, backends = picked(body)

    ask(balancer, listen, 30)

    assert counts(backends) == [10, 10, 10], "the fallback's turns"
    assert decisions(balancer) == {"failed": 30}
    assert trouble(balancer) == [f"{told}; round-robin picked instead"], "told once"
    assert python(balancer)["trouble"].startswith(told)
    balancer.wait_for_output(f"pool app policy mine:Mine {told}")
    assert measured(balancer) == {"failed": 30}
    assert shown(balancer).startswith(f"app mine:Mine working 30 failed 0 0 {told}")


def test_a_policy_without_preference_lets_the_fallback_pick(picked) -> None:
    balancer, listen, backends = picked("return None")

    ask(balancer, listen, 30)

    assert counts(backends) == [10, 10, 10]
    assert decisions(balancer) == {"abstained": 30}
    assert not trouble(balancer)


def test_a_policy_that_computes_for_100_ms_costs_no_request(picked) -> None:
    body = """
        import time
        end = time.perf_counter() + 0.1
        while time.perf_counter() < end:
            pass
        return backends[0]"""
    balancer, listen, backends = picked(body, patient=False)

    ask(balancer, listen, 30)

    told = decisions(balancer)
    assert told.get("late", 0) + told.get("unasked", 0) == sum(told.values()) == 30
    assert max(counts(backends)) - min(counts(backends)) <= 1
    assert measured(balancer) == told
    assert " late" in shown(balancer)


def test_a_policy_that_hangs_costs_no_request_and_soon_no_time(picked) -> None:
    balancer, listen, backends = picked("import threading; threading.Event().wait()", patient=False)

    ask(balancer, listen, 30)

    told = decisions(balancer)
    assert set(told) == {"late", "unasked"}, told
    assert told["late"] <= 10, "five times the time-out is 100 ms, and then nobody waits"
    assert max(counts(backends)) - min(counts(backends)) <= 1
    wait_for(lambda: python(balancer)["stuck"])
    assert any("at one call for a second" in each for each in trouble(balancer))
    balancer.wait_for_output("at one call for a second")
    assert measured(balancer) == {**decisions(balancer), "stuck": 1}
    assert shown(balancer).startswith("app mine:Mine stuck ")
    before = decisions(balancer)["late"]
    ask(balancer, listen, 200)
    assert decisions(balancer)["late"] == before, "nobody waits for it any more"


def test_a_policy_that_holds_the_interpreter_costs_no_request(picked) -> None:
    body = "import ctypes; ctypes.PyDLL(None).usleep(6_000_000); return backends[0]"
    balancer, listen, backends = picked(body, patient=False)

    began = time.monotonic()
    ask(balancer, listen, 200)

    assert time.monotonic() - began < 5.5, "they were answered while it held it"
    assert max(counts(backends)) - min(counts(backends)) <= 1
    wait_for(lambda: any("answers again" in each for each in trouble(balancer)))
    assert not python(balancer)["stuck"]


LONG = """
import time
import fairlead

class Mine(fairlead.Policy):
    def pick(self, request, backends):
        end = time.perf_counter() + (4 if request.path == "/long" else 0)
        while time.perf_counter() < end:
            pass
        return backends[0]
"""
GIVES_WAY = 5
"""What the kernel calls `SCHED_IDLE`."""


def classes(balancer) -> set[int]:
    """The scheduling classes of its threads."""
    found = set()
    for task in Path(f"/proc/{balancer.process.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found.add(int((task / "stat").read_text().rpartition(") ")[2].split()[38]))
    return found


@pytest.mark.parametrize("may_return", [True, False], ids=["CAP_SYS_NICE", "without"])
def test_a_policy_that_computes_gives_way_and_is_asked_again(fairlead, backend, may_return) -> None:
    """Its thread may not come back to the ordinary class without a capability: another goes on."""
    without = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]
    if not may_return and (os.geteuid() != 0 or shutil.which("setpriv") is None):
        pytest.skip("needs root and setpriv (util-linux), to take the capability away")
    listen = loopback()
    balancer = fairlead(
        config=site(
            listen, backend(), backend(), pool='policy = "mine:Mine"\npolicy_timeout = "500ms"'
        ),
        files={"mine.py": LONG},
        inside=None if may_return else without,
    )
    ask(balancer, listen, 5)
    assert decisions(balancer) == {"chosen": 5}
    assert GIVES_WAY not in classes(balancer)

    began = time.monotonic()
    ask(balancer, listen, 1, target="/long")
    wait_for(lambda: GIVES_WAY in classes(balancer))
    assert time.monotonic() - began < 3.5, "long before its call was over"

    def asked_again() -> bool:
        ask(balancer, listen, 1)
        return decisions(balancer)["chosen"] > 5

    wait_for(asked_again)
    assert GIVES_WAY not in classes(balancer)
    assert any("answers again" in each for each in trouble(balancer))


def test_other_pools_do_not_notice(fairlead, backend) -> None:
    """A policy that holds the interpreter's lock, beside a pool without Python."""
    text = MINE.replace("{body}", "import ctypes; ctypes.PyDLL(None).usleep(6_000_000)")
    one, two = backend(), backend()
    listen, other = loopback(), loopback()
    more = (
        f'[listeners.other]\nbind = "{other}"\npool = "other"\n'
        f'[pools.other]\nbackends = ["{two.address}"]\ncheck = {{ type = "none" }}\n'
    )
    config = site(listen, one, pool='policy = "mine:Mine"', more=more)
    balancer = fairlead(config=config, files={"mine.py": text})
    with balancer.connect(listen) as held, balancer.connect(other) as line:
        began = time.monotonic()
        held.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert held.read_response().status == 200
        for _ in range(500):
            assert line.get().status == 200
        assert time.monotonic() - began < 5.5, "all while the lock was held"


def test_a_waiting_request_does_not_hold_up_its_neighbours(fairlead, backend) -> None:
    """One worker, one slow policy: other connections of that worker go on."""
    body = """
        import time
        from pathlib import Path
        here = Path(__file__).parent
        (here / "asked").touch()
        while not (here / "go").exists():
            time.sleep(0.01)
        return backends[0]"""
    one, two = backend(), backend()
    listen, other = loopback(), loopback()
    more = (
        f'[listeners.other]\nbind = "{other}"\npool = "other"\n'
        f'[pools.other]\nbackends = ["{two.address}"]\n'
    )
    config = site(listen, one, pool=f'policy = "mine:Mine"\n{PATIENT}', more=more)
    balancer = fairlead(
        config=f"workers = 1\n{config}", files={"mine.py": MINE.replace("{body}", body)}
    )

    slow = [balancer.connect(listen) for _ in range(3)]
    for line in slow:
        line.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for((balancer.folder / "asked").exists)
    with balancer.connect(other) as line:
        for _ in range(10):
            assert line.get().status == 200
    assert select.select([line.socket for line in slow], [], [], 0)[0] == [], "they wait still"
    (balancer.folder / "go").touch()
    for line in slow:
        assert line.read_response().status == 200
        line.close()

    assert (len(one.requests), len(two.requests)) == (3, 10)
    assert decisions(balancer) == {"chosen": 3}


def test_more_time_may_be_given(picked) -> None:
    body = "import time; time.sleep(0.1); return backends[1]"
    balancer, listen, backends = picked(body)

    ask(balancer, listen, 5)

    assert counts(backends) == [0, 5, 0]
    assert decisions(balancer) == {"chosen": 5}


def test_a_policy_that_scores_and_picks_leaves_its_scores_to_the_fallback(picked) -> None:
    text = """
import fairlead

class Mine(fairlead.Policy):
    def score(self, backends):
        return [0, 1, 3]

    def pick(self, request, backends):
        return backends[0] if request.path == "/first" else None
"""
    balancer, listen, backends = picked("", text=text)
    wait_for(lambda: python(balancer)["scored"])

    ask(balancer, listen, 40)
    assert counts(backends) == [0, 10, 30]
    # One of score 0 is nobody's to be offered while there are others.
    ask(balancer, listen, 1, target="/first")
    assert counts(backends) == [0, 11, 30]


def test_connections_are_picked_for_too(fairlead, backend) -> None:
    backends = [backend(echo) for _ in range(3)]
    listen = loopback()
    body = """
        assert (request.head, request.method, request.target, request.host) == (b"", "", "", "")
        assert request.client == "127.0.0.1" and request.listener == "web"
        return backends[1]"""
    balancer = fairlead(
        config=site(listen, *backends, pool='policy = "mine:Mine"' + PATIENT, protocol="tcp"),
        files={"mine.py": MINE.replace("{body}", body)},
    )

    for _ in range(5):
        with balancer.connect(listen) as line:
            line.send(b"x")
            assert line.read(1) == b"x"

    assert [len(each.lines) for each in backends] == [0, 5, 0]
    assert decisions(balancer) == {"chosen": 5}, trouble(balancer)


def test_many_at_once_are_answered_in_batches(picked) -> None:
    text = """
import threading
import fairlead

class Mine(fairlead.Policy):
    def __init__(self):
        self.threads = set()

    def pick(self, request, backends):
        self.threads.add(threading.get_ident())
        assert len(self.threads) == 1
        return backends[0]
"""
    balancer, listen, backends = picked("", text=text)
    lines = [balancer.connect(listen) for _ in range(200)]
    for line in lines:
        line.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for line in lines:
        assert line.read_response().status == 200
        line.close()

    assert decisions(balancer) == {"chosen": 200}, trouble(balancer)
    assert counts(backends) == [200, 0, 0]


def test_a_changed_policy_picks_from_then_on(picked) -> None:
    # Nobody waits longer than five times that for the first; and the second has it, too.
    balancer, listen, backends = picked(
        "import threading; threading.Event().wait()",
        pool='policy_timeout = "500ms"',
        patient=False,
    )
    ask(balancer, listen, 3)

    (balancer.folder / "mine.py").write_text(MINE.replace("{body}", "return backends[2]"))
    balancer.wait_for_output("loaded anew")
    before = counts(backends)
    ask(balancer, listen, 10)

    assert [now - was for now, was in zip(counts(backends), before, strict=True)] == [0, 0, 10]


def test_a_reload_under_traffic_costs_no_request(picked) -> None:
    """Backends change their places: what was asked before is about the places of before."""
    body = "return next(one for one in backends if one.address == request.headers['x-to'])"
    balancer, listen, backends = picked(body)
    text = balancer.config.read_text()
    first, _, third = (each.address for each in backends)

    with balancer.connect(listen) as line:
        for number in range(60):
            if number % 10 == 0:
                turned = text.replace(first, "x").replace(third, first).replace("x", third)
                text = text if number % 20 else turned
                assert balancer.reload(text)[0] == 200
            assert line.get("/", f"X-To: {third}").status == 200

    assert len(backends[2].requests) >= 50
    assert not trouble(balancer)


def test_the_answer_of_a_backend_is_what_its_client_gets(fairlead, backend) -> None:
    """Requests in flight at once are not mixed up by waiting for their decisions."""
    from harness.backend import keeping

    def named(name: str):
        return keeping(lambda _: response(name.encode()))

    backends = [backend(named(str(number))) for number in range(3)]
    listen = loopback()
    body = "return backends[int(request.path[1:])]"
    balancer = fairlead(
        config=site(listen, *backends, pool='policy = "mine:Mine"\npolicy_timeout = "5s"'),
        files={"mine.py": MINE.replace("{body}", body)},
    )
    lines = [balancer.connect(listen) for _ in range(60)]
    for number, line in enumerate(lines):
        line.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % (number % 3))
    for number, line in enumerate(lines):
        assert line.read_response().body == b"%d" % (number % 3)
        line.close()
