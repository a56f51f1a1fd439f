"""Any text as a configuration, TOML or YAML: it is read, or told what is wrong with it.

A text that is read makes a plan that the engine's types take, and says the same when it is written
and read again. A text that isn't has a mistake with a place in it, and no traceback.

    python fuzz/python/config_loading.py [libFuzzer's options] [corpus]
"""

import json
import sys

import atheris

with atheris.instrument_imports(include=["fairlead"]):
    from fairlead import _engine
    from fairlead.config.loaded import load_text
    from fairlead.config.resolve import Answer
    from fairlead.errors import ConfigErrors


def _resolve(_: str) -> Answer:
    return Answer(("192.0.2.1", "2001:db8::1"))


def one(data: bytes) -> None:
    """Check one input; its first byte chooses the format."""
    if not data:
        return
    name = "x.yaml" if data[0] & 1 else "x.toml"
    text = data[1:].decode("utf-8", "replace")
    try:
        loaded = load_text(text, _engine, source=name, resolver=_resolve)
    except ConfigErrors as errors:
        assert errors.errors
        for error in errors.errors:
            assert error.code and error.found, error
            if error.place is not None:
                assert 0 <= error.place.start <= error.place.end <= len(error.place.source.data)
                error.place.frame("")
        assert str(errors)
        return
    json.loads(loaded.plan)
    again = load_text(loaded.config.to_toml(), _engine, resolver=_resolve)
    assert again.config == loaded.config
    assert again.value == loaded.value


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
