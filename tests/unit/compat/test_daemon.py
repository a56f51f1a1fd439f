from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def detached(child: str) -> tuple[int, str]:
    """What a program does whose child runs this code with ``report``."""
    program = f"""
import os, sys
from fairlead.compat.daemon import detach

def serve(report):
{textwrap.indent(textwrap.dedent(child), "    ")}

sys.exit(detach(serve, lambda line: print("said:", line)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False
    )
    return done.returncode, done.stdout


def test_the_caller_waits_until_it_is_ready_and_no_longer(tmp_path):
    gone = tmp_path / "fifo"
    os.mkfifo(gone)
    # The end of standard output is seen although the child lives on: it has let go.
    code, out = detached(
        f"""
        report.tell("not to be heard: it is ready in the end")
        report.ready()
        report.tell("nobody listens any more")
        assert os.getcwd() == "/" and os.getsid(0) == os.getpid()
        open({str(gone)!r}, "w").write(os.readlink("/proc/self/fd/1"))
        return 0
        """
    )

    assert (code, out) == (0, "")
    assert gone.read_text() == "/dev/null"


def test_a_failure_is_told_with_its_code():
    assert detached("report.tell('no such host'); return 65") == (65, "said: no such host\n")


def test_a_fault_is_told_too():
    assert detached("raise ValueError('oh')") == (71, "said: ValueError: oh\n")


def test_an_end_without_a_word_is_told():
    code, out = detached("os._exit(9)")

    assert (code, out) == (71, "said: the instance has ended before it was ready\n")


def test_files_of_the_caller_are_let_go_of():
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    program = """
import sys, time
from fairlead.compat.daemon import detach
def serve(report):
    report.ready()
    sys.stdin.read()
    return 0
detach(serve, print)
"""
    subprocess.run([sys.executable, "-c", program], pass_fds=[writing], timeout=20, check=True)
    os.close(writing)

    assert os.read(reading, 1) == b"", "the other end is closed"
    os.close(reading)
