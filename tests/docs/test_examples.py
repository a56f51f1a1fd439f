"""The examples do what their pages say, as they are shipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.backend import keeping, response
from harness.balancer import Balancer, loopback, run, wait_for
from harness.sources import ROOT

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/fairlead.toml"))


def test_every_example_has_its_page() -> None:
    folders = [path for path in (ROOT / "examples").iterdir() if path.is_dir()]

    assert sorted(folders) == EXAMPLES
    assert all((folder / "README.md").exists() for folder in folders)


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_a_right_configuration(folder: Path) -> None:
    """But for the names of machines that nobody has."""
    done = run("check", str(folder / "fairlead.toml"), "--json")

    errors = json.loads(done.stdout)["errors"]
    assert {error["code"] for error in errors} <= {"name.unresolved"}, errors


@pytest.fixture
def example(fairlead, backend):
    """An example at work, each of its machines a backend here: the address, and the backends."""

    def start(name: str, *machines: str, play=None):
        backends = {machine: backend(play) for machine in machines}
        listen = loopback()
        folder = ROOT / "examples" / name
        texts = {path.name: path.read_text() for path in folder.glob("*.py")}
        texts["fairlead.toml"] = (folder / "fairlead.toml").read_text()
        for machine, each in backends.items():
            texts = {key: text.replace(machine, each.address) for key, text in texts.items()}
        config = texts.pop("fairlead.toml").replace("127.0.0.1:8080", listen)
        return fairlead(config=config, files=texts), listen, backends

    return start


def served(backends) -> dict[str, int]:
    return {machine: len(each.requests) for machine, each in backends.items()}


def wait_for_scores(balancer: Balancer) -> None:
    """Until the policy has seen what there is now, and its answer counts."""

    def rounds() -> int:
        return int(balancer.status()["pools"][0]["python"]["scores"])

    before = rounds()
    wait_for(lambda: rounds() > before + 1)


MACHINES = ("spot-1:8000", "spot-2:8000", "reserved:8000", "on-demand:8000")


def test_the_cheapest_gets_everything_while_it_has_room(example) -> None:
    balancer, listen, backends = example("cheapest", *MACHINES)
    wait_for(lambda: balancer.status()["pools"][0]["python"]["scored"])

    with balancer.connect(listen) as line:
        for _ in range(40):
            assert line.get().status == 200

    assert served(backends) == dict(zip(MACHINES, (20, 20, 0, 0), strict=True))


def test_what_the_cheapest_cannot_carry_spills_over(example) -> None:
    import threading

    go = threading.Event()

    def late(_):
        assert go.wait(20)
        return response(b"")

    balancer, listen, backends = example("cheapest", *MACHINES, play=keeping(late))
    wait_for(lambda: balancer.status()["pools"][0]["python"]["scored"])

    lines = []
    try:
        while served(backends)["reserved:8000"] < 5:
            assert len(lines) < 120, served(backends)
            for _ in range(16):
                lines.append(balancer.connect(listen))
                lines[-1].send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            wait_for_scores(balancer)
        assert served(backends)["spot-1:8000"] >= 32
        assert served(backends)["on-demand:8000"] == 0
    finally:
        go.set()
    for line in lines:
        assert line.read_response().status == 200
        line.close()


GPUS = ("gpu-1:8000", "gpu-2:8000", "gpu-3:8000")


def prompt(
    balancer: Balancer, listen: str, text: str, count: int = 1, method: str = "POST"
) -> None:
    body = json.dumps({"prompt": text})
    head = f"{method} /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    with balancer.connect(listen) as line:
        for _ in range(count):
            assert line.ask(head + body, to=method).status == 200


def test_prompts_that_begin_alike_go_to_the_same_backend(example) -> None:
    balancer, listen, backends = example("prefix_affinity", *GPUS)
    shared = "You are a helpful assistant. " * 30

    for question in range(12):
        prompt(balancer, listen, f"{shared} Question {question}: why?")

    assert sorted(served(backends).values()) == [0, 0, 12]
    steps = balancer.status()["pools"][0]["steps"]["policy_decisions"]
    assert steps["chosen"] == 12, steps


def test_a_backend_that_is_gone_passes_its_prompts_on_together(example) -> None:
    balancer, listen, backends = example("prefix_affinity", *GPUS)
    prompt(balancer, listen, "x" * 2000, 3)
    owner = max(backends.values(), key=lambda each: len(each.requests))

    owner.refuse()
    owner.cut()
    for _ in range(6):
        # One that may be sent again, should it cross the end of a kept connection.
        prompt(balancer, listen, "x" * 2000, method="PUT")

    assert sorted(served(backends).values()) == [0, 3, 6]


def test_an_overloaded_backend_is_relieved(example) -> None:
    import threading

    go = threading.Event()

    def late(_):
        assert go.wait(20)
        return response(b"")

    balancer, listen, backends = example("prefix_affinity", *GPUS, play=keeping(late))
    body = b"z" * 1000
    head = b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    lines = [balancer.connect(listen) for _ in range(30)]
    try:
        for number, line in enumerate(lines, 1):
            line.send(head + body)
            wait_for(lambda number=number: sum(served(backends).values()) == number)
    finally:
        go.set()
    for line in lines:
        assert line.read_response().status == 200
        line.close()

    assert max(served(backends).values()) < 30, "it was relieved"
    assert max(served(backends).values()) >= 8, "but not before it was overloaded"
