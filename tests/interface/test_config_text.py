"""No text that calls itself a configuration does anything but load or be refused with reasons.

A mutational fuzzer over the files of this folder and configurations at random. Runs for two
seconds; `FUZZ_SECONDS=600 pytest tests/interface/test_config_text.py` runs longer. The seed of a
failure is in its message; `FUZZ_SEED=N` repeats that one.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from fairlead import _engine
from fairlead.config.loaded import load_text
from fairlead.config.resolve import Answer
from fairlead.config.write import write_toml
from fairlead.errors import ConfigErrors
from harness import configs

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
SEED = os.environ.get("FUZZ_SEED")
FOLDER = Path(__file__).with_name("config_errors")
CORPUS = [path.read_text() for path in sorted(FOLDER.glob("*.[ty][oa]ml"))]
CORPUS += [write_toml(configs.config(seed)) for seed in range(10)]
CORPUS += [Path(path).read_text() for path in FOLDER.glob("*.yaml")]

# Pieces that mean something to a reader of either language.
PIECES = [
    *(
        "\ud800",
        '"',
        "'",
        '"""',
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\n",
        "#",
        ":",
        "- ",
        "&a ",
        "*a",
    ),
    *(
        "\\",
        "\\u",
        "\\U0010FFFF",
        "\0",
        "\x1b",
        "\r",
        "\t",
        "\ufeff",
        "é",
        "日",
        "\N{GRINNING FACE}",
    ),
    *(
        "true",
        "1e9",
        "0x10",
        "nan",
        "1979-05-27",
        "9" * 30,
        "-1",
        "~",
        "!!int ",
        "|",
        ">",
        "? ",
        "<<: ",
    ),
    *(
        "pools",
        "listeners",
        "backends",
        "defaults",
        "check",
        "bind",
        "unix:/",
        "*3",
        "http://",
        "2s",
    ),
]


def mutated(source: random.Random) -> str:
    text = source.choice(CORPUS)
    for _ in range(source.randint(1, 6)):
        start = source.randint(0, len(text))
        end = min(len(text), start + source.choice((0, 0, 1, 1, 3, 20, 200)))
        kind = source.random()
        if kind < 0.5:
            middle = source.choice(PIECES) * source.choice((1, 1, 1, 2, 100))
        elif kind < 0.7:
            middle = chr(source.choice((source.randint(0, 255), source.randint(0, 0x10FFFF))))
        elif kind < 0.85:
            other = source.choice(CORPUS)
            begin = source.randint(0, len(other))
            middle = other[begin : begin + source.randint(0, 300)]
        else:
            middle = ""
        text = text[:start] + middle + text[end:]
    return text


def attempt(seed: int) -> None:
    text = mutated(random.Random(seed))
    for name in ("fuzz.toml", "fuzz.yaml"):
        try:
            load_text(text, _engine, source=name, resolver=lambda _: Answer(("192.0.2.1",)))
        except ConfigErrors as errors:
            told = str(errors)
            assert told
            assert all(each.isprintable() for each in told.split("\n"))


@pytest.mark.timeout(SECONDS * 2 + 30)
def test_any_text_loads_or_is_refused():
    if SEED:
        attempt(int(SEED))
        return
    first = random.SystemRandom().randrange(1 << 48)
    end = time.monotonic() + SECONDS
    seed = first
    while time.monotonic() < end:
        try:
            attempt(seed)
        except Exception as error:
            raise AssertionError(f"FUZZ_SEED={seed}") from error
        seed += 1
    print(f"{seed - first} texts")
