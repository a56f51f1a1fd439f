"""slowhttptest, all three modes, with clients of another pool beside it that ask as ever.

For 20 s, a thousand heads that get a line every two seconds, a thousand bodies that get some bytes,
or 200 answers that are taken 32 bytes a second. (The kernel keeps about a MiB for each reader here,
and more for its backend, which is on this machine, too: with a thousand it runs out of memory for
TCP, and nothing on the machine gets on.)
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter

import pytest

from harness.backend import free_port
from harness.balancer import loopback, wait_for
from harness.config import site
from harness.crowd import Answer, Crowd
from harness.programs import find, nginx_of

COUNTS = {"heads": 1_000, "bodies": 1_000, "readers": 200}
RATE = 200
SECONDS = 20

KEEP = 'timeouts = { keepalive = "2s" }'
SITE = """
    server {{
        listen 127.0.0.1:{port} backlog=4096; root {folder}; client_max_body_size 1m;
        location = /hello {{ return 200 "hello"; }}
        location = /post {{ proxy_pass http://127.0.0.1:{port}/hello; }}
    }}"""

HOW = {
    "heads": ["-H", "-i", "2", "-x", "24"],
    "bodies": ["-B", "-i", "2", "-x", "24", "-s", "8192", "-t", "POST"],
    "readers": ["-X", "-n", "1", "-z", "32", "-w", "512", "-y", "1024", "-k", "1"],
}


def p99(answers: list[Answer]) -> float:
    times = sorted(answer.took for answer in answers)
    return times[len(times) * 99 // 100]


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", HOW)
def test_slowhttptest_keeps_nobody_out(fairlead, tmp_path, kind: str) -> None:
    program = find("slowhttptest", "slowhttptest")
    listen = loopback()
    (tmp_path / "big").write_bytes(bytes(4 << 20))
    port, place = free_port(), "post" if kind == "bodies" else "big"
    text = SITE.format(port=port, folder=tmp_path)
    count = COUNTS[kind]
    options = ["-c", f"{count}", "-r", "500", "-l", f"{SECONDS}", "-p", "2"]
    with nginx_of(tmp_path, port, text) as address, Crowd() as crowd:
        slow = (
            f'[[listeners.web.routes]]\npath = "/{place}"\npool = "slow"\n'
            f'[pools.slow]\nbackends = ["{address}"]\n' + KEEP
        )
        quick = crowd.origin("quick").address
        balancer = fairlead(config=site(listen, quick, pool=KEEP, more=slow))
        # It is ready before its control plane is: that has descriptors, too, when it answers.
        balancer.status()
        files, memory = balancer.open_files(), balancer.resident_bytes()
        crowd.ask(listen, RATE, 2)
        before = crowd.ask(listen, RATE, 10)
        attack = subprocess.Popen(
            [program, *options, *HOW[kind], "-u", f"http://{listen}/{place}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        wait_for(lambda: balancer.listener()["connections_active"] > count / 2, 15)
        during = crowd.ask(listen, RATE, SECONDS / 2)
        taken = balancer.resident_bytes() - memory
        held = balancer.listener()["connections_active"]
        said, _ = attack.communicate(timeout=60)
        after = crowd.ask(listen, RATE, 2)
    said = re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", said)
    ratio = p99(during) / p99(before)
    print(f"{kind}: p99 {ratio:.2f} x, {held} connections, {taken >> 10} KiB more")

    failed = Counter(
        (answer.status, answer.by) for answer in before + during + after if not answer.ok
    )
    assert not failed, (failed, said[-1500:])
    assert ratio <= 2 or p99(during) < 0.02, (p99(before), p99(during))
    assert re.findall(r"service available:\s+(\w+)", said)[-1] == "YES", said[-2000:]
    assert taken < 64 << 20
    wait_for(lambda: balancer.open_files() <= files + 4, 30, lambda: f"{balancer.open_files()}")
