"""Names to addresses: many at once, within a bounded time, never forgetting what was good.

Decides how long to wait and which addresses of a name are of use on this machine. Doesn't know
what the addresses are for.

The system's resolver has no time-out of its own worth the name (a dead DNS server costs 10 s or
more) and can't be stopped once it was asked. So it is asked in threads that nobody waits for
longer than the bound; a late answer is thrown away.

Whoever can answer for a name must not lead requests to what gives machines their credentials
(metadata services of clouds): link-local IPv4 addresses in an answer are not used. One that is
written in the configuration itself is, and so are loopback and private ones from any name, which
many a hosts file has.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["WAIT_SECONDS", "Answer", "Resolver", "follow", "resolve_all", "system_resolver"]

# As long as a person at a prompt waits without wondering, and longer than one lost DNS packet
# costs (the system's resolver asks again after 5 s by default, but asks the next server before).
WAIT_SECONDS = 5.0

# Names at once. The system's resolver mostly waits, so more than there are CPUs.
_THREADS = 32

# 169.254.169.254 of most clouds and 169.254.170.2 of AWS's containers are in the first; then those
# of AWS (metadata, credentials of pods), Google and Oracle by IPv6, Alibaba's, and Azure's.
# IPv6's link-local addresses stay: they lead nowhere beyond the wire, no metadata service is there,
# and mDNS gives them to machines in earnest.
_METADATA = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",
        "fd00:ec2::/32",
        "fd20:ce::254/128",
        "fd00:c1::a9fe:a9fe/128",
        "100.100.100.200/32",
        "168.63.129.16/32",
    )
)
# RFC 6052. Clouds have such gateways for subnets that are IPv6 only.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Answer(NamedTuple):
    """What is known of a name: its addresses, best first, or why there are none."""

    addresses: tuple[str, ...]
    problem: str = ""


if TYPE_CHECKING:
    Resolver = Callable[[str], Answer]


def system_resolver(name: str) -> Answer:
    """Ask the system: hosts file, DNS, whatever it is set up to use.

    >>> "127.0.0.1" in system_resolver("localhost").addresses
    True
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Answer((), _plain(error))
    addresses = []
    for family, _, _, _, target in found:
        if family != socket.AF_INET6 or _has_ipv6():
            addresses.append(_spelled(target))
    # The same address comes once for each place that knows it.
    unique = tuple(dict.fromkeys(addresses))
    return Answer(unique, "" if unique else "it has IPv6 addresses only, and this machine no IPv6")


def _plain(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "no name that DNS could have"
    return (error.strerror or str(error)).lower()


def _spelled(target: tuple[object, ...]) -> str:
    """The address; a link-local one with the number of its interface, which the engine reads."""
    address = str(target[0]).partition("%")[0]
    scope = target[3] if len(target) == 4 else 0
    return f"{address}%{scope}" if scope else address


def _has_ipv6() -> bool:
    """Whether this machine has a loopback address of IPv6: the least that IPv6 has."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def resolve_all(
    names: Iterable[str], resolver: Resolver, wait_seconds: float = WAIT_SECONDS
) -> Mapping[str, Answer]:
    """Resolve all names side by side.

    Returns:
        An answer for each name, within little more than ``wait_seconds``.
    """
    waiting = dict.fromkeys(names)
    if not waiting:
        return {}
    asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    answered: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
    for name in waiting:
        asked.put(name)
    for _ in range(min(_THREADS, len(waiting))):
        asked.put(None)
        threading.Thread(
            target=_ask, args=(asked, answered, resolver), name="resolve", daemon=True
        ).start()
    answers = _collect(len(waiting), answered, wait_seconds)
    late = Answer((), f"no answer within {wait_seconds:g} s")
    return {name: _trusted(answers.get(name, late)) for name in waiting}


def follow(
    names: Iterable[str],
    resolver: Resolver,
    known: Mapping[str, Answer],
    problems: Mapping[str, str] | None = None,
) -> tuple[dict[str, Answer], dict[str, str]]:
    """Resolve all names; one that doesn't resolve any more keeps the addresses that it had.

    Args:
        names: All that are wanted; others are forgotten.
        resolver: Asked for each, in threads.
        known: What they have resolved to before.
        problems: Given, only names that are not known are asked for, and this goes on: what was
            wrong with those that are.

    Returns:
        What each name resolves to; and why not, for those that had to keep what was known.
    """
    wanted = tuple(dict.fromkeys(names))
    kept = {} if problems is None else {name: known[name] for name in wanted if name in known}
    wrong = {name: why for name, why in (problems or {}).items() if name in kept}
    asked = resolve_all((name for name in wanted if name not in kept), resolver)
    for name, answer in asked.items():
        before = known.get(name, answer)
        lost = not answer.addresses and bool(before.addresses)
        kept[name] = before if lost else answer
        if lost:
            wrong[name] = answer.problem
    return kept, wrong


def _trusted(answer: Answer) -> Answer:
    """The answer without addresses that a name must not lead to.

    >>> _trusted(Answer(("169.254.169.254", "10.0.0.1"))).addresses
    ('10.0.0.1',)
    """
    kept = tuple(each for each in answer.addresses if not _is_metadata(each))
    if kept or not answer.addresses:
        return Answer(kept, answer.problem)
    found = ", ".join(answer.addresses)
    return Answer(
        (), f"it leads to {found}, where clouds keep credentials; write the address if it is meant"
    )


def _is_metadata(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        # What is no address is for the engine to refuse.
        return False
    if isinstance(address, ipaddress.IPv6Address):
        address = _within(address) or address
    return any(address in network for network in _METADATA)


def _within(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a gateway makes of this one, if any would."""
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


def _ask(
    asked: queue.SimpleQueue[str | None],
    answered: queue.SimpleQueue[tuple[str, Answer]],
    resolver: Resolver,
) -> None:
    while (name := asked.get()) is not None:
        try:
            answered.put((name, resolver(name)))
        except Exception as error:  # noqa: BLE001  # a resolver of the user's may raise anything
            answered.put((name, Answer((), f"the resolver failed: {error}")))


def _collect(
    count: int, answered: queue.SimpleQueue[tuple[str, Answer]], wait_seconds: float
) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    deadline = time.monotonic() + wait_seconds
    while len(answers) < count:
        try:
            name, answer = answered.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        answers[name] = answer
    return answers
