"""Hosts of their own for backends: network namespaces, joined to ours by veth pairs.

fairlead and the clients stay in the namespace of the test; each host is one namespace with one
address. A host can swallow all packets (nft), be cut off (link down), or lose a share of them.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_COUNT = itertools.count()


def _run(*command: str, check: bool = True, typed: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=20, input=typed
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done


def _ip(*commands: str, space: str = "") -> None:
    inside = ("-n", space) if space else ()
    _run("ip", *inside, "-batch", "-", typed="".join(f"{each}\n" for each in commands))


def missing() -> str | None:
    """Why namespaces can't be made here; ``None`` if they can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    for program in ("ip", "nft"):
        if shutil.which(program) is None:
            return f"needs {program} (package {'iproute2' if program == 'ip' else 'nftables'})"
    name = f"fl{os.getpid()}try"
    made = _run("ip", "netns", "add", name, check=False)
    if made.returncode:
        return f"network namespaces can't be made here: {made.stderr.strip()}"
    filtered = _run("ip", "netns", "exec", name, "nft", "list", "ruleset", check=False)
    paired = _run(
        "ip", "link", "add", name, "type", "veth", "peer", "name", "e", "netns", name, check=False
    )
    _run("ip", "netns", "del", name, check=False)
    if filtered.returncode:
        return f"nft does not work here: {filtered.stderr.strip()}"
    if paired.returncode:
        return f"veth pairs can't be made here: {paired.stderr.strip()}"
    return None


class Host:
    """One namespace with one address, reached from ours."""

    def __init__(self) -> None:
        number = next(_COUNT)
        self.name = f"fl{os.getpid()}n{number}"
        # A network of its own for each host and each test process.
        third = (os.getpid() * 7 + number) % 250
        fourth = (os.getpid() // 250 + number) % 60 * 4
        self.near = f"10.213.{third}.{fourth + 1}"
        self.address = f"10.213.{third}.{fourth + 2}"
        # Few programs, because each costs some milliseconds, and there are hundreds of hosts.
        _run("ip", "netns", "add", self.name)
        pair = f"link add {self.name} type veth peer name eth0 netns {self.name}"
        _ip(pair, f"addr add {self.near}/30 dev {self.name}", f"link set {self.name} up")
        inside = ("link set lo up", f"addr add {self.address}/30 dev eth0", "link set eth0 up")
        _ip(*inside, space=self.name)
        self._nft(
            "add table inet f",
            *(
                f"add chain inet f {hook} {{ type filter hook {hook} priority 0; }}"
                for hook in ("input", "output")
            ),
        )

    def _nft(self, *script: str) -> None:
        _run("ip", "netns", "exec", self.name, "nft", "; ".join(script))

    def listener(self, port: int = 9000, backlog: int = 512) -> socket.socket:
        """A listening socket on this host, usable from any thread of ours."""
        # A thread can live in another namespace than its process; the sockets that it makes
        # belong there for good.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._listen, port, backlog).result()

    def _listen(self, port: int, backlog: int) -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/run/netns/{self.name}").open() as space:
            if libc.setns(space.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
        return socket.create_server((self.address, port), backlog=backlog)

    def swallow(self) -> None:
        """Drop every packet, both ways: no answer, no reset, nothing."""
        self._nft("add rule inet f input drop", "add rule inet f output drop")

    def deafen(self) -> None:
        """Drop only what arrives."""
        self._nft("add rule inet f input drop")

    def mute(self) -> None:
        """Drop only what it sends: requests arrive, no acknowledgement and no answer leaves."""
        self._nft("add rule inet f output drop")

    def lose(self, percent: int) -> None:
        """Drop this share of the packets that arrive."""
        self._nft(f"add rule inet f input numgen random mod 100 < {percent} drop")

    def lose_large(self, size: int = 500) -> None:
        """Drop packets of more bytes than this, both ways: a path with a smaller MTU, unannounced."""
        for hook in ("input", "output"):
            self._nft(f"add rule inet f {hook} meta length > {size} drop")

    def lose_half_of_connections(self) -> None:
        """Drop what arrives on every second connection: one of two paths is broken.

        By one bit of the other end's port, as routers choose a path. Not by the lowest: Linux
        prefers even ports for connecting.
        """
        self._nft("add rule inet f input tcp sport & 2 == 2 drop")

    def redirect(self, first: int, last: int) -> None:
        """Let whoever listens on the first of these ports have what comes for all of them."""
        self._nft("add table ip n")
        self._nft("add chain ip n to { type nat hook prerouting priority -100 ; }")
        self._nft(f"add rule ip n to tcp dport {first}-{last} redirect to :{first}")

    def swallow_and_count(self) -> None:
        """The same as `swallow`, and count how often somebody tries to connect."""
        self._nft("add counter inet f connects")
        for rule in ("tcp flags & (syn | ack) == syn counter name connects drop", "drop"):
            self._nft(f"add rule inet f input {rule}")
        self._nft("add rule inet f output drop")

    def connects(self) -> int:
        """How many connects were swallowed so far, those that the kernel sends again among them."""
        command = ("nft", "-j", "list", "counter", "inet", "f", "connects")
        listed = json.loads(_run("ip", "netns", "exec", self.name, *command).stdout)["nftables"]
        return int(next(each["counter"]["packets"] for each in listed if "counter" in each))

    def reject(self) -> None:
        """Answer connects with ICMP host unreachable."""
        self._nft("add rule inet f input reject with icmp type host-unreachable")

    def heal(self) -> None:
        """Undo all that drops and rejects packets."""
        self._nft("flush table inet f")

    def unplug(self) -> None:
        """Take the link down: the address does not even answer ARP."""
        _run("ip", "-n", self.name, "link", "set", "eth0", "down")

    def plug(self) -> None:
        """Undo `unplug`."""
        _run("ip", "-n", self.name, "link", "set", "eth0", "up")

    def close(self) -> None:
        """Remove it."""
        _run("ip", "link", "del", self.name, check=False)
        _run("ip", "netns", "del", self.name, check=False)
