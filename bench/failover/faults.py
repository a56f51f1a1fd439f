"""The faults: how each is played, what fairlead may cost its clients while it lasts, and why.

Each fault is a function of the hosts, a clock and a length. It begins the fault, waits, ends it and
returns: the clock's zero is its beginning, its return is its end. Host B breaks, others as said.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab import Lab

Until = Callable[[float], None]
"""Waits until so many seconds after the fault's beginning."""


@dataclass(frozen=True)
class Limit:
    """What fairlead's clients may notice, at most. None: nothing is promised, it is only told."""

    failed: int | None
    slow: int | None


@dataclass(frozen=True)
class Lost:
    """Which requests a fault costs, and why they can't be saved; by `post` those that may be
    executed once only. Empty: none is to be lost.
    """

    http: str = ""
    tcp: str = ""
    post: str = ""


@dataclass(frozen=True)
class Fault:
    name: str
    text: str
    play: Callable[[Lab, Until, float], None]
    http: Limit | None
    """None: it can't be played there."""
    tcp: Limit | None
    eight: bool = False
    """One of the eight that PEERS.md measured, over 16 s; the others last 8 s."""
    hosts: str = "AB"
    answer: int = 0
    """Bytes of an answer; 0: its host's name only."""
    named: bool = False
    """B is given by a name."""
    backlog: int = 0
    """The kernel's queue of connections on B, if it has to be short."""
    back: float | None = None
    """B is in use again so many seconds after the end, at most. None: it is told, not promised."""
    returns: str = "B"
    """Which host's answers show that all is well again; if it isn't B, it is there from the
    fault's beginning on."""
    excused: bool = False
    """Nobody can answer while it lasts: failures count from `back` seconds after it only."""
    over: float | None = None
    """Nobody notices anything any more so many seconds after its beginning. None: it is told."""
    lost: Lost = Lost()

    @property
    def seconds(self) -> float:
        return 16 if self.eight else 8


def in_network(*rules: str) -> Callable[[Lab, Until, float], None]:
    """Rules in B's packet filter."""
    def play(lab: Lab, until: Until, seconds: float) -> None:
        lab["B"].nft(*(f"add rule inet f {rule}" for rule in rules))
        until(seconds)
        lab["B"].heal()
    return play


def in_mode(mode: str) -> Callable[[Lab, Until, float], None]:
    """B's application misbehaves."""
    def play(lab: Lab, until: Until, seconds: float) -> None:
        lab["B"].turn(mode)
        until(seconds)
        lab["B"].turn("well")
    return play


def nothing(lab: Lab, until: Until, seconds: float) -> None:
    until(seconds)


def gone(hosts: str) -> Callable[[Lab, Until, float], None]:
    """Hosts that swallow every packet."""
    def play(lab: Lab, until: Until, seconds: float) -> None:
        for host in hosts:
            lab[host].swallow()
        until(seconds)
        for host in hosts:
            lab[host].heal()
    return play


def linkdown(lab: Lab, until: Until, seconds: float) -> None:
    lab["B"].unplug()
    until(seconds)
    lab["B"].plug()


def killed(lab: Lab, until: Until, seconds: float) -> None:
    lab["B"].kill()
    until(seconds)
    lab["B"].start()


def frozen(lab: Lab, until: Until, seconds: float) -> None:
    lab["B"].freeze()
    until(seconds)
    lab["B"].thaw()


def flap(lab: Lab, until: Until, seconds: float) -> None:
    for second in range(int(seconds)):
        if second % 2 == 0:
            lab["B"].swallow()
        else:
            lab["B"].heal()
        until(second + 1)
    lab["B"].heal()


def reboot(lab: Lab, until: Until, seconds: float) -> None:
    """3/8 of it silence, 1/8 RST to everybody, then 4/8 slow."""
    host = lab["B"]
    host.swallow()
    until(seconds / 4)
    host.kill()
    until(seconds * 3 / 8)
    host.heal()
    until(seconds / 2)
    host.start()
    late(host, "late 600ms")
    until(seconds * 3 / 4)
    host.turn("late 300ms")
    until(seconds)
    host.turn("well")


def late(host: object, mode: str) -> None:
    """As soon as a process that is just starting can be told."""
    import time
    for _ in range(200):
        try:
            return host.turn(mode)
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("the application did not start")


def name_moves(lab: Lab, until: Until, seconds: float) -> None:
    """B dies, and its name means C from then on. It never comes back."""
    lab["B"].swallow()
    lab.name_is("C")
    until(seconds)


# Seconds: until nobody notices a fault any more, and until its host is used again after it.
OVER, BACK = 0.5, 1.5
PROMISED, ANY = Limit(0, 5), Limit(None, None)
# What can't be taken back once it began is learnt within ten cases; then B gets under a tenth.
LEARNT = Limit(10 + 80, 5)

CONTROL = "none"


def told(*parts: str) -> str:
    """Several sentences, one after the other."""
    return " ".join(parts)


# Which requests are lost, and why they can't be saved: printed where some were.
UNDER_WAY = (
    "Those under way when it began: bytes of them had gone to B, which may have executed them, so "
    "they go to nobody else, and the client leaves after its second.")
ACKNOWLEDGED = (
    "Connections whose client's bytes B's kernel had acknowledged: whether its process read them "
    "nobody can know, and over tcp nothing is sent twice.")
TRIALS = (
    "Later ones are trials, ever rarer, some connections each: only a client's own bytes show "
    "whether B answers again.")
KILLED = (
    "What B's process had in hand when it was killed: its kernel had acknowledged the bytes, and "
    "resets the connection. At 100 a second, each of about a millisecond, one kill in some twenty "
    "meets one.")
ANSWERED = (
    "What a host had in hand when it fell silent: it has executed it, its answer was lost, over tcp "
    "nothing is sent twice, and the client leaves after its second.")

FAULTS = {fault.name: fault for fault in [
    Fault("blackhole", "host B swallows every packet (nothing comes back, no RST)", gone("B"),
          Limit(0, 2), Limit(0, 2), eight=True, back=BACK, over=OVER,
          lost=Lost(tcp=ANSWERED, post=UNDER_WAY)),
    Fault("linkdown", "host B's network interface goes down (ARP fails later)", linkdown,
          Limit(0, 2), None, eight=True, back=BACK, over=OVER,
          lost=Lost(post=UNDER_WAY)),
    Fault("killed", "the process on B is killed (connection refused), started again at the end",
          killed, Limit(0, 2), Limit(0, 2), eight=True, back=BACK, over=OVER,
          lost=Lost(tcp=KILLED, post=KILLED)),
    Fault("frozen", "the process on B is stopped: connects succeed, no answers", frozen,
          Limit(0, 5), Limit(40, 5), eight=True, back=BACK, over=OVER,
          lost=Lost(tcp=told(ACKNOWLEDGED, (
              "The first few begin before two in a row were silent for longer than B's answers "
              "take."), TRIALS), post=(
              "Those that B's kernel took and acknowledged before its silence could be told from "
              "a pause (0.4 s): the process may have read them and may go on with them, so they "
              "stay where they are, and the client leaves after its second."))),
    Fault("err50", "every other answer of B is a 500; its health page stays well",
          in_mode("errors"), Limit(2, 2), None, eight=True, back=BACK, over=OVER,
          lost=Lost(http=(
              "A 500 that is passed on: the budget for a second opinion was used up."), post=(
              "B's 500s, passed on: a POST that B answered was executed there and is put to "
              "nobody else. The first until B is found to be worse than A; later ones are trials, "
              "which are POSTs where nothing else comes."))),
    Fault("slow", "B answers 2 s later; its health page stays fast", in_mode("late 2s"),
          Limit(0, 5), None, eight=True, back=BACK, over=OVER,
          lost=Lost(post=(
              "Those that B has, and answers after 2 s, when their clients have left after one. "
              "The first until B is found to owe answers; later ones are trials, which are POSTs "
              "where nothing else comes."))),
    Fault("flap", "B is a black hole for 1 s, well for 1 s, and so on", flap,
          Limit(0, 5), Limit(0, 2), eight=True,      # held back on purpose, and longer each time
          lost=Lost(tcp=ANSWERED, post=UNDER_WAY)),
    Fault("loss30", "B loses 30 % of the packets that arrive",
          in_network("i numgen random mod 100 < 30 drop"), Limit(0, 5), None, eight=True, back=BACK, over=OVER,
          lost=Lost(post=(
              "Those of which packets were lost several times in a row, so that TCP took longer "
              "than the client's second: bytes of them had gone to B, so they stay there."))),

    Fault("deaf_network", "packets to B are lost, those from B arrive", in_network("i drop"),
          PROMISED, PROMISED),
    Fault("mute_network", "packets to B arrive, those from B are lost", in_network("o drop"),
          PROMISED, PROMISED),
    Fault("large_lost", "packets over 500 bytes from or to B are lost (answers have 2,000)",
          in_network("i meta length > 500 drop", "o meta length > 500 drop"),
          PROMISED, Limit(40, 5), answer=2000,
          lost=Lost(tcp=told(ACKNOWLEDGED, (
              "Connects and questions pass, answers of 2,000 bytes don't: from here that is a "
              "process which is silent. The first few begin before two in a row were silent for "
              "longer than B's answers take."), TRIALS))),
    # One bit of the client side's port, as a router with two equal paths would hash it. Not the
    # lowest: Linux prefers even ports for connecting.
    Fault("half_paths", "every second connection's packets to B are lost (one of two paths)",
          in_network("i tcp sport & 2 == 2 drop"), PROMISED, PROMISED),
    Fault("reboot", "B falls silent, then resets old connections, then refuses, then is slow",
          reboot, PROMISED, ANY,
          lost=Lost(tcp=(
              "Slow, not failed: connections to B in the two seconds or so in which it is back "
              "and answers 600 ms late. Their bytes have gone, over tcp nobody else may be asked, "
              "and that B is late is learnt from answers that are late themselves."))),
    Fault("backlog", "B's process accepts no connection any more: the queue is full",
          in_mode("deaf"), PROMISED, Limit(40, 5), backlog=4,
          lost=Lost(tcp=told(ACKNOWLEDGED, (
              "These found room in the kernel's queue, which takes connections and bytes though "
              "no process accepts them; once it is full, connecting fails, and others are "
              "asked.")))),
    Fault("accept_close", "B accepts every connection and closes it at once", in_mode("close"),
          PROMISED, LEARNT,
          lost=Lost(tcp=(
              "Connections that B accepted, and ended when the client's bytes had gone: an end "
              "without a word may be what B means. After two in a row it is used last; later ones "
              "are trials, ever rarer."))),
    Fault("half_head", "B sends half a head and stops; its health page stays well",
          in_mode("halfhead"), PROMISED, None),
    Fault("half_body", "B sends a head and half a body and stops; its health page stays well",
          in_mode("halfbody"), LEARNT, None,
          lost=Lost(http=(
              "Those whose head had gone on to the client when B stopped: what a client has can't "
              "be taken back, and a pause can't be told from an end until clients leave, after 1 "
              "s here. So B's half of the first second's requests; later ones are trials, ever "
              "rarer."))),
    Fault("cut_body", "B sends a head and half a body and closes; its health page stays well",
          in_mode("cut"), LEARNT, None,
          lost=Lost(http=(
              "Those whose head had gone on to the client when B closed: what a client has can't "
              "be taken back. One is enough to know; later ones are trials, ever rarer."))),
    Fault("only_check_well", "B answers everything with 503, but its health page is well",
          in_mode("allerrors"), PROMISED, None),
    Fault("only_check_sick", "B's health page fails, all else is well", in_mode("sick"),
          PROMISED, None),
    Fault("two_of_three", "B and C swallow every packet, A is well", gone("BC"),
          PROMISED, PROMISED, hosts="ABC", lost=Lost(tcp=ANSWERED)),
    Fault("all_gone", "A and B swallow every packet, and come back", gone("AB"),
          Limit(0, 0), Limit(0, 0), excused=True, back=BACK),
    Fault("name_moves", "B dies and its name means C from then on", name_moves,
          PROMISED, PROMISED, named=True, returns="C"),

    Fault(CONTROL, "nothing happens: what clients notice is the machine's doing", nothing,
          Limit(0, None), Limit(0, None)),
]}
