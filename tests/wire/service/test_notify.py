"""What a service manager is told: ready, reloading, stopping, alive."""

from __future__ import annotations

import time

from harness.balancer import dial, loopback, wait_for
from harness.config import site

STUCK = """
import sys, time

calls = 0

def is_well(probe):
    # From the third time on, nobody else gets the interpreter for six seconds.
    global calls
    calls += 1
    if calls > 2:
        sys.setswitchinterval(1000)
        open("stuck", "w").close()
        end = time.monotonic() + 6
        while time.monotonic() < end:
            pass
    return True
"""


def test_it_is_ready_when_clients_are_served(fairlead, backend, manager) -> None:
    parent, listen = manager(), loopback()
    fairlead(config=site(listen, backend()), environment=parent.environment(), ready=False)

    said = parent.hear("READY")
    assert said == {"READY": "1", "STATUS": "serving: 1 listener, 1 backend"}
    assert dial(listen).get().status == 200


def test_reloads_and_the_end_are_told(fairlead, backend, manager) -> None:
    import signal

    parent, listen, one = manager(), loopback(), backend()
    balancer = fairlead(config=site(listen, one), environment=parent.environment())
    parent.hear("READY")
    wait_for(lambda: balancer.api("GET", "/healthz")[0] == 200)
    balancer.config.write_text(site(listen, one, backend()))
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    balancer.signal(signal.SIGHUP)

    assert int(parent.hear("RELOADING")["MONOTONIC_USEC"]) >= before
    assert parent.hear("READY")["STATUS"] == "serving: 1 listener, 2 backends"
    balancer.config.write_text("rubbish")
    balancer.signal(signal.SIGHUP)
    parent.hear("RELOADING")
    assert parent.hear("READY")["STATUS"] == "serving: 1 listener, 2 backends", "it goes on"

    assert balancer.stop() == 0
    assert "SIGTERM" in parent.hear("STOPPING")["STATUS"]


def test_it_tells_that_it_is_alive_twice_as_often_as_it_must(fairlead, backend, manager) -> None:
    parent = manager()
    fairlead(config=site(loopback(), backend()), environment=parent.environment(1.0))
    for _ in range(3):
        parent.hear("WATCHDOG", patience=5)
    at = [float(said["at"]) for said in parent.told if "WATCHDOG" in said]

    assert at[-1] - at[0] < 2.5, at


def test_stuck_python_does_not_look_dead(fairlead, backend, manager) -> None:
    """Traffic goes on without Python, so a manager must not be made to kill for it."""
    parent, listen = manager(), loopback()
    check = 'type = "python", function = "stuck:is_well", interval = "100ms"'
    balancer = fairlead(
        config=site(listen, backend(), check=check),
        environment=parent.environment(1.0),
        files={"stuck.py": STUCK},
    )
    line = dial(listen)
    wait_for((balancer.folder / "stuck").exists)
    busy = time.monotonic() + 3
    beats = 0
    while time.monotonic() < busy:
        parent.hear("WATCHDOG", patience=2)
        beats += 1
        assert line.get().status == 200

    assert beats >= 3
    assert balancer.process.poll() is None


def test_a_data_plane_that_hangs_does(fairlead, backend, manager) -> None:
    """A process that is stopped stands for it: nothing is told any more."""
    import signal

    parent = manager()
    balancer = fairlead(config=site(loopback(), backend()), environment=parent.environment(0.4))
    parent.hear("WATCHDOG")
    balancer.signal(signal.SIGSTOP)
    try:
        assert not all(parent.hears("WATCHDOG", 0.8) for _ in range(4)), "some were on their way"
    finally:
        balancer.signal(signal.SIGCONT)
    parent.hear("WATCHDOG")


def test_nobody_below_is_told_of_the_manager(fairlead, backend, manager) -> None:
    """A check by command that inherited the variables could speak for fairlead."""
    parent = manager()
    check = 'type = "command", command = "env > seen", interval = "200ms"'
    balancer = fairlead(
        config=site(loopback(), backend(), check=check), environment=parent.environment(5.0)
    )
    seen = balancer.folder / "seen"
    text = wait_for(lambda: seen.exists() and seen.read_text())

    assert "FAIRLEAD_POOL=app" in text
    assert not any(name in text for name in ("NOTIFY_SOCKET", "WATCHDOG", "LISTEN_"))
