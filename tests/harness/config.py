"""Configurations of the common form: one listener, one pool."""

from __future__ import annotations

import json

from harness.backend import Backend


def addresses(*backends: Backend | str) -> str:
    """A TOML array of backends; a string that is a table (``{ address = …``) stays as it is."""
    words = [each.address if isinstance(each, Backend) else each for each in backends]
    return (
        "[" + ", ".join(word if word.startswith("{") else json.dumps(word) for word in words) + "]"
    )


def table(backend: Backend | str, **more: object) -> str:
    """One backend as a TOML table."""
    address = backend.address if isinstance(backend, Backend) else backend
    rest = "".join(f", {key} = {json.dumps(value)}" for key, value in more.items())
    return f"{{ address = {json.dumps(address)}{rest} }}"


def site(
    listen: str,
    *backends: Backend | str,
    listener: str = "",
    pool: str = "",
    check: str = 'type = "none"',
    protocol: str = "http",
    more: str = "",
) -> str:
    """A listener ``web`` before a pool ``app``. ``listener`` and ``pool`` are further lines."""
    return f"""
        [listeners.web]
        bind = {json.dumps(listen)}
        protocol = "{protocol}"
        pool = "app"
        {listener}

        [pools.app]
        backends = {addresses(*backends)}
        check = {{ {check} }}
        {pool}

        {more}
    """
