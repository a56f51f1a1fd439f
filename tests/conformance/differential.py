"""The corpus through fairlead and others: who reads what otherwise, as a page.

``make conformance`` runs it. The others are found and configured as for the benchmark
(``bench/peers.py``, ``PEER_HOME``); who isn't there is left out. Each runs several times, before a
backend of its own and with one connection at a time, so that what a backend gets belongs to the
message that was sent. What is compared is who was asked what:
answers by their class, requests by their number, targets, bodies, and by lines that should have
ended on the way; not what each adds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance import black_box, corpus, strict, wire
from harness.backend import free_port
from harness.sources import ROOT, commit

OTHERS = ("haproxy", "nginx", "envoy")
LANES = 12
"""Of each balancer so many beside each other, with a backend each."""

PATIENCE = 2.0
"""Seconds after which one that neither answers nor closes counts as waiting."""

SAME = "the same"
VERDICTS = {
    "takes": "passes on what has to be refused",
    "taken as it is": "passes it on as it came, so that a strict backend refuses it",
    "boundary": "the backend sees other requests than were sent",
    "leaves in": "passes on lines that end at this hop",
    "changes": "passes on another target or body",
    "refuses": "refuses what may be passed on",
    "waits": "neither answers nor closes within two seconds",
    "cut": "closes without an answer",
    "another status": "answers with another status",
    "stays open": "keeps the connection after a refusal",
    "hands on": "gives its client what has to be refused",
    "shortens": "gives its client a body that broke off as if it were whole",
}


@dataclass(frozen=True)
class Finding:
    """What one of them made of one message."""

    verdict: str
    detail: str = ""


def _class(statuses: list[int]) -> list[int]:
    return [status for status in statuses if status >= 200]


def judge_request(case: corpus.Case, heard: wire.Heard, recorder: wire.Recorder) -> Finding:
    """What became of a request."""
    own = [message for message in recorder.messages if message.start[1] != "/after"]
    after = len(recorder.messages) - len(own)
    finals = _class(heard.statuses)
    if recorder.odd:
        return Finding("taken as it is", recorder.odd[0][:80])
    if len(own) > len(case.seen):
        verdict = "takes" if len(own) == 1 else "boundary"
        return Finding(verdict, " + ".join(" ".join(message.start[:2]) for message in own)[:80])
    if case.closes and after:
        return Finding("boundary", "what came behind was read as a request")
    if len(own) < len(case.seen):
        if heard.hung:
            return Finding("waits")
        return Finding("refuses" if finals else "cut", str(finals[len(own) :] or ""))
    for wanted, message in zip(case.seen, own, strict=True):
        if finding := _carried(case, wanted, message):
            return finding
    if heard.hung and not finals:
        return Finding("waits")
    if len(finals) < len(case.statuses):
        return Finding("cut")
    if finals[: len(case.statuses)] != case.statuses:
        return Finding("another status", str(finals[len(case.statuses) - 1]))
    if case.closes and not heard.closed:
        return Finding("stays open")
    return Finding(SAME)


def _carried(case: corpus.Case, wanted: corpus.Seen, message: strict.Message) -> Finding | None:
    """What a request that went on carries otherwise than it has to, if anything."""
    if f"{message.start[0]} {message.start[1]}" != wanted.start:
        return Finding("changes", f"{message.start[1]!r}"[:60])
    if message.body.decode("latin-1") != wanted.body:
        return Finding("changes", "the body")
    sent = {
        line.split(":")[0].strip().lower() for line in case.sent.split("\r\n")[1:] if ":" in line
    }
    goes_on = {line.split(":")[0] for line in wanted.fields}
    lines = {name for name, _ in message.fields} & (sent - goes_on)
    trailers = {name for name, _ in message.trailers} - {
        line.split(":")[0] for line in wanted.trailers
    }
    # Each says something of its own in Connection.
    left = sorted((lines | trailers) - {"connection"})
    return Finding("leaves in", ", ".join(left)[:60]) if left else None


def judge_response(case: corpus.Case, heard: wire.Heard, recorder: wire.Recorder) -> Finding:
    """What became of a response."""
    finals = [answer for answer in heard.answers if int(answer.start[1]) >= 200]
    if heard.odd:
        return Finding("hands on", heard.odd[:80])
    if 101 in heard.statuses:
        return Finding("hands on", "101")
    if not finals and heard.left and not heard.left.startswith(b"HTTP/1."):
        return Finding("hands on", f"{heard.left[:40]!r}, without a head")
    if finals[1:] and finals[1].body != b"ok" and not case.closes:
        return Finding("boundary", f"the next request was answered {finals[1].body[:40]!r}")
    if not finals:
        broken = heard.closed and corpus.is_broken(case)
        return Finding(SAME if broken else "waits" if heard.hung else "cut")
    status = int(finals[0].start[1])
    if corpus.is_broken(case):
        return Finding("another status" if status >= 500 else "shortens", str(status))
    if not case.seen:
        fine = status in (502, 503, 500)
        return Finding(SAME) if fine else Finding("hands on", str(status))
    wanted = case.seen[0]
    if finals[0].start[1] != wanted.start:
        return Finding("refuses" if status >= 500 else "another status", str(status))
    if finals[0].body.decode("latin-1") != wanted.body:
        return Finding("changes", "the body")
    sent = {
        line.split(":")[0].strip().lower() for line in case.sent.split("\r\n")[1:] if ":" in line
    }
    goes_on = {line.split(":")[0] for line in wanted.fields + wanted.trailers}
    own = {"connection"}
    if finals[0].start[1] == "304" or case.ask.startswith("HEAD "):
        own.add("transfer-encoding")  # it says what an answer to GET would have had
    left = sorted(({name for name, _ in finals[0].fields} & (sent - goes_on)) - own)
    return Finding("leaves in", ", ".join(left)[:60]) if left else Finding(SAME)


async def _play(kind: str, case: corpus.Case, port: int, recorder: wire.Recorder) -> Finding:
    recorder.forget()
    if kind == "requests":
        data = case.sent + corpus.SENTINEL
        methods = [each.start.split(" ")[0] for each in case.seen]
        finals = len(case.statuses) + 1
    else:
        method, path, _ = case.ask.split("\r\n", 1)[0].split(" ")
        data, methods, finals = case.ask + corpus.SENTINEL, [method], 2
        recorder.replies[path] = (case.sent.encode("latin-1"), case.then == "closes")
    heard = await wire.ask(
        port, data.encode("latin-1"), methods, finals, fin=False, patience=PATIENCE
    )
    judge = judge_request if kind == "requests" else judge_response
    return judge(case, heard, recorder)


async def play(kind: str, lanes: list[tuple[int, wire.Recorder]]) -> dict[str, Finding]:
    """What one of them makes of every message of a kind."""
    found = {}
    waiting = iter(corpus.read(kind))

    async def lane(port: int, recorder: wire.Recorder) -> None:
        for case in waiting:
            found[case.name] = await _play(kind, case, port, recorder)

    await asyncio.gather(*(lane(port, recorder) for port, recorder in lanes))
    return found


# ----------------------------------------------------------------------------------- the balancers


def _peers() -> dict[str, Any]:
    sys.path.insert(0, str(ROOT / "bench"))
    import peers

    return {name: peers.ALL[name] for name in ("fairlead", *OTHERS) if peers.ALL[name].available()}


@contextlib.asynccontextmanager
async def running(peer: Any, recorder: wire.Recorder) -> AsyncIterator[int]:
    """One of them before this backend: its port."""
    import peers

    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        context = peers.Ctx(port=port, backends=[recorder.address], idle_timeout=30)
        process = await asyncio.create_subprocess_exec(
            *peer.start_argv("http", context, Path(folder)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **peer.env},
            process_group=0,
        )
        try:
            await _accepting(port)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _accepting(port: int) -> None:
    """Until it answers a plain request."""
    for _ in range(400):
        with contextlib.suppress(OSError):
            heard = await wire.ask(port, corpus.SENTINEL.encode(), [], 1, fin=False)
            if heard.statuses == [200]:
                return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"nobody answers at port {port}")


def version(peer: Any) -> str:
    """Its name and number."""
    done = subprocess.run(peer.version(), capture_output=True, text=True, check=False)
    words = (done.stdout + done.stderr).replace("/", " ").split()
    number = next((word for word in words if word[:1].isdigit() and "." in word), "")
    if peer.name == "envoy":
        number = next(
            (word for word in (done.stdout + done.stderr).split("/") if word.count(".") == 2),
            number,
        )
    number = number.rstrip(",")
    return (
        f"{peer.name} {number} ({commit()})" if peer.name == "fairlead" else f"{peer.name} {number}"
    )


# ---------------------------------------------------------------------------------------- the page


Found = dict[str, dict[str, dict[str, Finding]]]
"""By kind, by balancer, by message."""


def _summary(kind: str, found: dict[str, dict[str, Finding]]) -> list[str]:
    names = list(found)
    counts = {name: Counter(each.verdict for each in found[name].values()) for name in names}
    verdicts = [each for each in (SAME, *VERDICTS) if any(counts[name][each] for name in names)]
    lines = [f"| {kind} | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for verdict in verdicts:
        text = "as required" if verdict == SAME else VERDICTS[verdict]
        lines.append(f"| {text} | {' | '.join(str(counts[name][verdict]) for name in names)} |")
    return [*lines, ""]


def _cell(findings: list[Finding]) -> str:
    others = [each for each in findings if each.verdict != SAME]
    if not others:
        return "–"
    counts = Counter(each.verdict for each in others)
    parts = []
    for verdict, count in counts.most_common():
        example = next(
            (each.detail for each in others if each.verdict == verdict and each.detail), ""
        )
        shown = example.replace("|", "\\|").replace("`", "'")
        parts.append(f"{verdict} {count}" + (f" (`{shown}`)" if shown else ""))
    return f"{'; '.join(parts)} of {len(findings)}"


def rules(kind: str, found: dict[str, dict[str, Finding]]) -> list[str]:
    """A row for each rule that somebody reads otherwise; those of fairlead are left out."""
    names = [name for name in found if name != "fairlead"]
    by_rule: dict[str, list[corpus.Case]] = defaultdict(list)
    for case in corpus.read(kind):
        by_rule[case.name.rpartition("-")[0]].append(case)
    lines = [f"| {kind} | rule | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for rule, cases in by_rule.items():
        cells = [_cell([found[name][case.name] for case in cases]) for name in names]
        if set(cells) != {"–"}:
            said = f"{cases[0].says} ({cases[0].section})".replace("|", "\\|")
            lines.append(f"| `{rule}` | {said} | {' | '.join(cells)} |")
    return [*lines, ""]


EXPLAINED = """\
What the words mean: {words}.

Why they differ, by kind:

- **Leniency that the RFCs allow** and fairlead doesn't take, because the next reader may not share it: a lone LF as a line end, more empty lines, white space in a start line, folded lines joined, several equal Content-Length, Transfer-Encoding beside Content-Length (with the length taken out), unknown expectations passed on, chunk extensions kept or of any size.
- **Requirements that aren't met**: control characters in values, requests without Host or with several, Transfer-Encoding in HTTP/1.0, Max-Forwards not counted down, fields that Connection names (§7.6.1), forbidden or broken trailers, answers whose status line or framing is wrong, a switch of protocols that nobody asked for.
- **Choices**: fairlead takes a request whose absolute target disagrees with Host (RFC 9112 §3.2.2: the target rules) and any method and minor version, which others refuse; it doesn't speak of hosts that no name can be; it passes WebSockets on without being told to, which Envoy does not. Others answer 501 or 426 where fairlead answers 400.
- **Kept open**: an answer to what was refused says that the connection closes, and some close it later.
"""


def page(found: Found, versions: list[str], mutated: black_box.Report, seed: str) -> str:
    """All of it, for people."""
    counts = {kind: len(next(iter(each.values()))) for kind, each in found.items()}
    words = "; ".join(f"*{word}*: {text}" for word, text in VERDICTS.items())
    now = datetime.now(UTC)
    machine = f"{platform.system()} {platform.release()} on {platform.machine()}"
    shared = "bench/peers.py"
    lines = [
        f"""\
# The same bytes, read by others

<!-- Made by `make conformance`. -->

{counts["requests"]} requests and {counts["responses"]} responses of the corpus ([tests/conformance](../../tests/conformance/requests.py)), each over a connection of its own, before a backend that reads strictly.
{now:%Y-%m-%d}, {machine}, {os.cpu_count()} cores.
{", ".join(versions)}; the others configured as in {shared}.

Mutated messages through fairlead alone (seed `{seed}`): {mutated.played:,} inputs, {mutated.passed_on:,} of them with requests that were passed on, **{len(mutated.findings)} findings**, {mutated.seconds:.0f} s.
""",
    ]
    for kind, each in found.items():
        lines += _summary(kind, each)
    lines += ["## Where they differ\n", EXPLAINED.format(words=words)]
    for kind, each in found.items():
        lines += rules(kind, each)
    return "\n".join(lines).rstrip("\n") + "\n"


async def compare(seed: str, count: int) -> tuple[str, int]:
    """The page, and how many things are wrong with fairlead."""
    task = asyncio.current_task()
    assert task is not None
    # Whoever ends this ends the balancers that it started.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    chosen = _peers()
    found: Found = {"requests": {}, "responses": {}}
    for name, peer in chosen.items():
        for kind in found:
            async with contextlib.AsyncExitStack() as stack:
                lanes = []
                for _ in range(LANES):
                    recorder = wire.Recorder()
                    await stack.enter_async_context(recorder.listening())
                    port = await stack.enter_async_context(running(peer, recorder))
                    lanes.append((port, recorder))
                found[kind][name] = await play(kind, lanes)
            others = [each for each in found[kind][name].values() if each.verdict != SAME]
            print(
                f"{name}: {kind}: {len(others)} of {len(found[kind][name])} otherwise", flush=True
            )
    mutated = await black_box.run(seed, count)
    for finding in mutated.findings[:20]:
        print(finding)
    wrong = sum(
        each["fairlead"][name].verdict != SAME
        for each in found.values()
        for name in each["fairlead"]
    )
    text = page(found, [version(peer) for peer in chosen.values()], mutated, seed)
    return text, wrong + len(mutated.findings)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="a file for the page; else it is printed")
    parser.add_argument("--seed", default="conformance", help="of the mutated messages")
    parser.add_argument("--count", type=int, default=50_000, help="how many of them")
    asked = parser.parse_args()
    text, wrong = asyncio.run(compare(asked.seed, asked.count))
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    else:
        print(text)
    print(f"{wrong} findings about fairlead")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
