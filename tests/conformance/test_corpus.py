"""The corpus has its required outcomes, over real sockets, and is what the tables say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from conformance import corpus, onward, strict, wire
from harness.backend import free_ports
from harness.balancer import Balancer

LANES = 8


async def played(
    fairlead: Callable[..., Balancer], cases: list[corpus.Case], play: wire.Play
) -> dict[str, list[str]]:
    """Plays the cases through a fairlead of their own."""
    recorders = [wire.Recorder() for _ in range(LANES)]
    async with contextlib.AsyncExitStack() as stack:
        for recorder in recorders:
            await stack.enter_async_context(recorder.listening())
        ports = list(free_ports(LANES))
        pairs = list(zip(ports, (recorder.address for recorder in recorders), strict=True))
        await asyncio.to_thread(fairlead, config=wire.config(pairs))
        return await wire.play_all(list(zip(ports, recorders, strict=True)), cases, play)


def told(wrong: dict[str, list[str]]) -> str:
    """What is wrong, for people."""
    return "\n".join(f"{name}: {each}" for name, list_ in sorted(wrong.items()) for each in list_)


def test_every_request_has_its_required_outcome(fairlead) -> None:
    wrong = asyncio.run(played(fairlead, corpus.read("requests"), wire.play_request))

    assert not wrong, told(wrong)


def test_every_response_has_its_required_outcome(fairlead) -> None:
    wrong = asyncio.run(played(fairlead, corpus.read("responses"), wire.play_response))

    assert not wrong, told(wrong)


@pytest.mark.parametrize("kind", ["requests", "responses"])
def test_the_data_is_what_the_tables_make(kind: str) -> None:
    text = (corpus.FOLDER / f"{kind}.jsonl").read_text(encoding="ascii")

    assert text == corpus.written(kind), "python -m conformance.corpus makes it anew"


def test_there_are_enough_and_each_has_its_name() -> None:
    cases = corpus.read("requests") + corpus.read("responses")

    assert len(cases) >= 500
    for kind in ("requests", "responses"):
        names = [case.name for case in corpus.read(kind)]
        assert len(names) == len(set(names))


def test_the_strict_reader_reads_requests_as_the_tables_say() -> None:
    for case in corpus.read("requests"):
        found, stop = strict.read_requests((case.sent + corpus.SENTINEL).encode("latin-1"))
        statuses = [onward.local_status(message) or 200 for message in found]
        assert not isinstance(stop, strict.Partial), case.name
        if isinstance(stop, strict.Refused):
            statuses.append(stop.status)
        elif not found[-1].closes:
            assert found[-1].start[1] == "/after", case.name
            statuses.pop()
        assert statuses == case.statuses, case.name
        assert bool(stop or found[-1].closes) == case.closes, case.name


def test_the_strict_reader_reads_responses_as_the_tables_say() -> None:
    for case in corpus.read("responses"):
        method = case.ask.split(" ", 1)[0]
        data = case.sent.encode("latin-1")
        try:
            answer = strict.read_answer(data, method, ended=case.then == "closes")
        except strict.Stop:
            assert case.statuses in ([502], []), case.name
        else:
            assert int(answer[-1].start[1]) == case.statuses[-1], case.name
