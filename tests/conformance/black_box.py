"""Mutated messages through a whole balancer, judged by the strict reader.

A finding is: a 5xx of the balancer's own for what was right; a request or an answer whose boundary
one side saw and the other didn't; a connection that hangs; something accepted that the strict
reader refuses, or refused that it takes.

``python -m conformance.black_box --count 50000`` (in ``tests/``) starts a fairlead and tells.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass, field

from conformance import corpus, onward, strict, wire
from conformance.mutator import mutated, pieces
from harness.backend import free_ports
from harness.balancer import Balancer

LANES = 8

REFUSALS = frozenset([400, 414, 417, 431, 501, 505])
"""What a client's own mistake may be answered with."""

_ENDLESS = 1_000_000


@dataclass
class Expected:
    """What has to become of what a client sends."""

    statuses: list[int] = field(default_factory=list)
    gone_on: list[strict.Message] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    stop: strict.Stop | None = None


def expected(data: bytes) -> Expected:
    """What has to become of ``data``, behind which the client finishes sending."""
    found, stop = strict.read_requests(data)
    made = Expected()
    for message in found:
        own = onward.local_status(message)
        made.statuses.append(own or 200)
        made.methods.append(message.start[0])
        if own is None:
            made.gone_on.append(message)
        elif message.framing == "chunked" or message.body:
            # Answered before its body was read, so nothing can come behind it.
            return made
    own = onward.local_status(stop.head) if stop and stop.head else None
    if own is None:
        made.stop = stop
    else:
        made.statuses.append(own)
    return made


def _statuses_fit(wanted: Expected, heard: list[int]) -> bool:
    count = len(wanted.statuses)
    if heard[:count] != wanted.statuses:
        return False
    rest = heard[count:]
    if wanted.stop is None:
        return not rest
    refused = len(rest) == 1 and rest[0] in REFUSALS
    # What is cut off may be wrong already, or not yet.
    return refused or (isinstance(wanted.stop, strict.Partial) and not rest)


async def play_request(port: int, recorder: wire.Recorder, sent: list[bytes]) -> list[str]:
    """Plays one input, in these pieces, as a client; the findings."""
    recorder.forget()
    data = b"".join(sent)
    wanted = expected(data)
    methods = list(wanted.methods)
    if wanted.stop and data.rpartition(b"HEAD ")[1]:
        methods.append(_method_of_refused(data, wanted))
    heard = await wire.ask(port, sent, methods, _ENDLESS, fin=True)
    findings = wire.troubles(heard, recorder)
    if heard.left:
        findings.append(f"an answer broke off: {heard.left[:200]!r}")
    finals = [status for status in heard.statuses if status >= 200]
    if not _statuses_fit(wanted, finals):
        findings.append(f"answered {finals}, not {wanted.statuses} and {wanted.stop!r}")
    sought = [wire.in_order(corpus.seen_request(message)) for message in wanted.gone_on]
    got = [wire.got_request(message, recorder.address) for message in recorder.messages]
    if got != sought:
        findings.append(f"the backend got {got}, not {sought}")
    return findings


def _method_of_refused(data: bytes, wanted: Expected) -> str:
    found, _ = strict.read_requests(data)
    rest = data[found[-1].end if found else 0 :].lstrip(b"\r\n")
    return "HEAD" if rest.startswith(b"HEAD ") else "GET"


async def play_response(
    port: int, recorder: wire.Recorder, sent: list[bytes], number: int
) -> list[str]:
    """Plays one input, in these pieces, as a backend that closes behind it; the findings."""
    recorder.forget()
    data = b"".join(sent)
    method = ("POST", "POST", "POST", "HEAD", "GET")[number % 5]
    path = f"/{number}"
    recorder.replies[path] = (sent, True)
    request = f"{method} {path} HTTP/1.1\r\nHost: corpus\r\n\r\n{corpus.SENTINEL}".encode()
    heard = await wire.ask(port, request, [method], 2, fin=False)
    del recorder.replies[path]
    findings = wire.troubles(heard, recorder)
    finals = [answer for answer in heard.answers if int(answer.start[1]) >= 200]
    if finals[1:] and finals[1].body != b"ok":
        findings.append(f"the next request was answered {finals[1]}")
    try:
        answer = strict.read_answer(data, method, ended=True)[-1]
    except strict.Stop as stop:
        ours = bool(finals and finals[0].values("x-fairlead-reason"))
        broken = heard.closed and not finals
        if not broken and not (ours and len(finals) == 2):
            findings.append(f"taken: {heard.statuses} for what is {stop!r}")
        return findings
    if len(finals) != 2:
        return [*findings, f"answered {heard.statuses}, not {answer.start[1]}"]
    sought = wire.in_order(corpus.seen_response(answer, "HTTP/1.1"))
    got = wire.got_response(finals[0], sought)
    if got != sought:
        findings.append(f"the client got {got}, not {sought}")
    return findings


@dataclass
class Report:
    """What came of a run."""

    played: int = 0
    passed_on: int = 0
    """Inputs of which at least one request was passed on, besides those that are responses."""
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0


def _messages(kind: str) -> list[bytes]:
    """Those of the corpus; the right ones three times, so that more than rubbish comes of them."""
    return [
        case.sent.encode("latin-1")
        for case in corpus.read(kind)
        for _ in range(3 if case.seen else 1)
    ]


async def run(seed: str, count: int, start: int = 0) -> Report:
    """Plays so many inputs through a fairlead of its own. Three in ten are responses."""
    requests, replies = _messages("requests"), _messages("responses")
    sentinel = corpus.SENTINEL.encode()
    report = Report()
    numbers = iter(range(start, start + count))

    async def lane(port: int, recorder: wire.Recorder) -> None:
        for number in numbers:
            if number % 10 < 7:
                data = mutated(seed, number, requests) + sentinel
                findings = await play_request(port, recorder, pieces(seed, number, data))
                report.passed_on += bool(recorder.messages)
            else:
                data = mutated(seed, number, replies)
                findings = await play_response(port, recorder, pieces(seed, number, data), number)
            report.played += 1
            report.findings += [f"{seed}/{number}: {each}: {data[:400]!r}" for each in findings]

    recorders = [wire.Recorder() for _ in range(LANES)]
    async with contextlib.AsyncExitStack() as stack:
        for recorder in recorders:
            await stack.enter_async_context(recorder.listening())
        ports = list(free_ports(LANES))
        text = wire.config([(p, r.address) for p, r in zip(ports, recorders, strict=True)])
        balancer = await asyncio.to_thread(Balancer, config=text)
        stack.callback(balancer.close)
        began = time.monotonic()
        await asyncio.gather(*map(lane, ports, recorders))
        report.seconds = time.monotonic() - began
    return report


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="1", help="any text; equal seeds make equal inputs")
    parser.add_argument("--count", type=int, default=50_000, help="how many inputs")
    parser.add_argument("--start", type=int, default=0, help="the number of the first")
    chosen = parser.parse_args()
    report = asyncio.run(run(chosen.seed, chosen.count, chosen.start))
    for finding in report.findings[:100]:
        print(finding)
    print(
        f"{report.played} mutated inputs (seed {chosen.seed!r}), {report.passed_on} of them with "
        f"requests that were passed on: {len(report.findings)} findings, {report.seconds:.0f} s"
    )
    return bool(report.findings)


if __name__ == "__main__":
    sys.exit(main())
