"""The interpreter's lock is held: the engine goes on with traffic, checks and operators' wishes."""

from __future__ import annotations

import http.client
import json
import select
import socket

from harness.balancer import wait_for
from harness.held import FALL


def test_checks_take_a_backend_out_and_bring_it_back_while_the_lock_is_held(held) -> None:
    """Another pool's traffic loses nothing, and an operator can see what is going on."""
    assert min(held.ask()) > 0
    held.hold()
    assert min(held.ask()) > 0, "traffic goes on"

    address = held.ill.backend.address
    held.ill.is_ill = True
    wait_for(lambda: held.ill.failed > FALL and held.ask() == (0, 20))
    assert held.balancer.backends("other")[address]["health"] == "down"
    held.ill.is_ill = False
    wait_for(lambda: min(held.ask()) > 5)
    assert held.is_stuck(), "the lock is held still"

    held.release()
    wait_for(lambda: not held.is_stuck())
    told = [each["to"] for each in held.balancer.events() if each.get("backend") == address]
    assert [each for each in told if each in ("down", "healthy")][-2:] == ["down", "healthy"]


def test_operators_are_answered_and_followed_while_the_lock_is_held(held) -> None:
    """And Python knows of it afterwards: of the events, and of wishes that are to hold."""
    ill, well = held.ill.backend.address, held.well.backend.address
    held.hold()
    status = json.loads(held.say("status", "--json"))
    assert status["python"].startswith("stuck since 2")
    assert status["pid"] == held.balancer.process.pid
    assert "python: stuck since 2" in held.say("status")

    assert f"other/{ill} is draining, healthy" in held.say("drain", f"other/{ill}")
    assert held.ask() == (0, 20), "it gets no new traffic"
    held.say("weight", f"other/{well}", "7")

    code, health = held.balancer.api("GET", "/healthz")
    assert (code, health["status"], health["python"]) == (200, "ok", status["python"])
    assert "\nfairlead_requests_total{" in held.balancer.text("/metrics")[1]
    code, refusal = held.balancer.api("POST", "/v1/reload", stuck=True)
    assert (code, refusal["code"]) == (503, "python_stuck")

    held.release()
    wait_for(lambda: not held.is_stuck())
    rows = held.balancer.backends("other")
    assert (rows[ill]["state"], rows[well]["weight"]) == ("draining", 7)
    wishes = [each["backend"] for each in held.balancer.events() if each["event"] == "wish"]
    assert wishes == [ill, well], "each of them once"

    # Python says so only of wishes that it knows.
    both = held.backends.replace(f'"{ill}"', f'{{ address = "{ill}", state = "disabled" }}')
    code, answer = held.balancer.reload(held.config.replace(held.backends, both))
    assert code == 200, answer
    held.balancer.wait_for_output(f"other/{ill} was changed in the configuration")
    rows = held.balancer.backends("other")
    assert (rows[ill]["state"], rows[well]["weight"]) == ("disabled", 7)


def test_a_connection_that_python_has_waits_for_python(held) -> None:
    """Each request is answered once, by whoever took its connection."""
    line = http.client.HTTPConnection("localhost", timeout=10)
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.connect(str(held.control))
    line.request("GET", "/healthz")
    assert json.loads(line.getresponse().read()) == {"status": "ok"}

    held.hold()
    line.request("GET", "/healthz")
    assert held.is_stuck(), "others are answered"
    assert select.select([line.sock], [], [], 0)[0] == []

    held.release()
    assert json.loads(line.getresponse().read()) == {"status": "ok"}
    assert select.select([line.sock], [], [], 0)[0] == [], "and once"
    line.close()
