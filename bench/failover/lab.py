"""Hosts in namespaces, and what can be done to them.

One experiment is four namespaces: the balancer and its clients in one, hosts A, B and C in one
each, joined by veth pairs. B is the host that breaks. Nothing here knows who balances.
"""
from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

HOSTS = "ABC"
ADDRESS = {host: f"10.77.{number}.2" for number, host in enumerate(HOSTS, 1)}
NEAR = {host: f"10.77.{number}.1" for number, host in enumerate(HOSTS, 1)}
PORT = 9000
NAME = "b.hosts.test"
"""A name of host B, which `dns_moves` moves."""


def sh(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done


def children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += [int(child), *children(int(child))]
    return found


def end(process: subprocess.Popen) -> None:
    """End a process that was started here, and all that it started."""
    family = [process.pid, *children(process.pid)]
    for number in (signal.SIGCONT, signal.SIGTERM):
        with contextlib.suppress(OSError):
            os.kill(process.pid, number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)
    for pid in family:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def say(path: Path, line: str) -> None:
    """One command on a probe's control socket; returns once it is in force."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(5)
        control.connect(str(path))
        control.sendall(line.encode() + b"\n")
        if control.recv(16) != b"ok\n":
            raise RuntimeError(f"{path}: `{line}` was not answered")


class Host:
    """One host: its network and its application."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.space = f"fo-{lab.tag}-{name.lower()}"
        self.address = ADDRESS[name]
        self.control = lab.work / f"{lab.tag}-{name}.sock"
        self.executed = lab.work / f"{lab.tag}-{name}.log"
        self.application: subprocess.Popen | None = None

    # The network. Rules add up until `heal`.
    def nft(self, *rules: str) -> None:
        script = "; ".join(rules)
        sh("ip", "netns", "exec", self.space, "nft", script)

    def swallow(self) -> None:
        self.nft("add rule inet f i drop", "add rule inet f o drop")

    def heal(self) -> None:
        self.nft("flush table inet f")

    def unplug(self) -> None:
        sh("ip", "-n", self.space, "link", "set", "eth0", "down")

    def plug(self) -> None:
        sh("ip", "-n", self.space, "link", "set", "eth0", "up")
        sh("ip", "-n", self.space, "route", "add", "default", "via", NEAR[self.name], check=False)

    def sysctl(self, setting: str) -> None:
        sh("ip", "netns", "exec", self.space, "sysctl", "-q", "-w", setting)

    # The application.
    def start(self) -> None:
        self.control.unlink(missing_ok=True)
        self.application = self.lab.spawn(
            self.space,
            [str(self.lab.probe), "backend", self.name, f"{self.address}:{PORT}",
             str(self.control), str(self.executed)],
        )

    def kill(self) -> None:
        os.kill(self.application.pid, signal.SIGKILL)
        self.application.wait()

    def freeze(self) -> None:
        os.kill(self.application.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.application.pid, signal.SIGCONT)

    def turn(self, mode: str) -> None:
        say(self.control, mode)


class Lab:
    """The namespaces of one experiment, removed at its end with all that runs in them."""

    def __init__(self, tag: str, work: Path) -> None:
        self.tag, self.work = tag, work
        self.probe = work / "probe"
        self.here = f"fo-{tag}-lb"
        self.hosts = {name: Host(self, name) for name in HOSTS}
        self.names = work / f"{tag}-dns.sock"
        self._processes: list[subprocess.Popen] = []

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __enter__(self) -> Lab:
        spaces = [self.here, *(host.space for host in self.hosts.values())]
        for space in spaces:
            sh("ip", "netns", "del", space, check=False)   # of a run that was cut off
            sh("ip", "netns", "add", space)
            sh("ip", "-n", space, "link", "set", "lo", "up")
        for name, host in self.hosts.items():
            link = f"v{name.lower()}"
            sh("ip", "-n", self.here, "link", "add", link, "type", "veth",
               "peer", "name", "eth0", "netns", host.space)
            sh("ip", "-n", self.here, "addr", "add", NEAR[name] + "/24", "dev", link)
            sh("ip", "-n", self.here, "link", "set", link, "up")
            sh("ip", "-n", host.space, "addr", "add", host.address + "/24", "dev", "eth0")
            sh("ip", "-n", host.space, "link", "set", "eth0", "up")
            sh("ip", "-n", host.space, "route", "add", "default", "via", NEAR[name])
            host.nft("add table inet f",
                     "add chain inet f i { type filter hook input priority 0; }",
                     "add chain inet f o { type filter hook output priority 0; }")
            host.executed.unlink(missing_ok=True)
        # `ip netns exec` puts this in the place of /etc/resolv.conf.
        resolver = Path("/etc/netns") / self.here
        resolver.mkdir(parents=True, exist_ok=True)
        (resolver / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            end(process)
        for space in (self.here, *(host.space for host in self.hosts.values())):
            sh("ip", "netns", "del", space, check=False)
        shutil.rmtree(Path("/etc/netns") / self.here, ignore_errors=True)
        for path in [self.names, *(host.control for host in self.hosts.values())]:
            path.unlink(missing_ok=True)

    def spawn(self, space: str, command: list[str], **more: object) -> subprocess.Popen:
        process = subprocess.Popen(
            ["ip", "netns", "exec", space, *command],
            stdin=subprocess.DEVNULL, start_new_session=True,
            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more})
        self._processes.append(process)
        return process

    def name_server(self) -> None:
        self.names.unlink(missing_ok=True)
        self.spawn(self.here, [str(self.probe), "dns", "127.0.0.1:53", str(self.names)])

    def name_is(self, host: str) -> None:
        say(self.names, ADDRESS[host])
