"""What the table of rules is made of: a rule, its messages, and what has to become of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

HOST: Final = "Host: corpus\r\n"
CHUNKED: Final = "Transfer-Encoding: chunked\r\n"
LAST: Final = "0\r\n\r\n"

CONTROLS: Final = [chr(code) for code in (*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F)]
"""Control characters but for tab, CR and LF."""

NO_TOKEN: Final = list('"(),/:;<=>?@[\\]{}')
"""Visible characters that may not stand in a token."""


@dataclass(frozen=True)
class Outcome:
    """What has to become of a message.

    Attributes:
        statuses: What its sender is answered, in order. Of a request that is passed on: 200.
        closes: Whether the connection ends after that.
    """

    statuses: tuple[int, ...]
    closes: bool = False


PASSES: Final = Outcome((200,))
"""It goes on, rewritten as the data says, and the connection stays."""

ENDS: Final = Outcome((200,), closes=True)
"""It goes on, and the connection ends after its answer."""

BROKEN: Final = Outcome((), closes=True)
"""Its beginning was passed on before it broke a rule; its receiver sees that it broke off."""

BAD: Final = Outcome((502,))
"""Answered with 502 and `bad_response`; the client's connection stays, the backend's doesn't."""


def refused(status: int = 400) -> Outcome:
    """It is answered here and the connection is closed; nothing whole goes on."""
    return Outcome((status,), closes=True)


def answered(status: int) -> Outcome:
    """It is answered here, and the connection stays; nothing goes on."""
    return Outcome((status,))


@dataclass(frozen=True)
class Rule:
    """One rule, and messages that keep or break it.

    Attributes:
        name: For the messages' names.
        section: Where it stands: ``RFC 9112 §5.1``.
        says: The rule in short.
        outcome: What has to become of each of the messages.
        messages: As text, a character for a byte.
        method: Of responses: what was asked.
        version: Of responses: what the client speaks.
        then: Of responses: what the backend does afterwards, ``keeps`` or ``closes``.
    """

    name: str
    section: str
    says: str
    outcome: Outcome
    messages: list[str] = field(default_factory=list)
    method: str = "POST"
    version: str = "HTTP/1.1"
    then: str = "keeps"


def get(*lines: str, target: str = "/m", version: str = "HTTP/1.1", method: str = "GET") -> str:
    """A request without a body and with these further lines."""
    return (
        f"{method} {target} {version}\r\n{HOST}" + "".join(f"{each}\r\n" for each in lines) + "\r\n"
    )


def post(*lines: str, body: str = "", version: str = "HTTP/1.1", method: str = "POST") -> str:
    """A request with these lines and then this."""
    return get(*lines, version=version, method=method) + body


def chunks(body: str, *lines: str) -> str:
    """A request with a body in this chunked form."""
    return post("Transfer-Encoding: chunked", *lines, body=body)


def plain(*lines: str, status: str = "200 OK", body: str = "hello") -> str:
    """A response with a length and these further lines."""
    return reply(f"Content-Length: {len(body)}", *lines, status=status, body=body)


def reply(*lines: str, status: str = "200 OK", body: str = "", version: str = "HTTP/1.1") -> str:
    """A response with these lines and then this."""
    return f"{version} {status}\r\n" + "".join(f"{each}\r\n" for each in lines) + f"\r\n{body}"


def reply_chunks(body: str, *lines: str) -> str:
    """A response with a body in this chunked form."""
    return reply("Transfer-Encoding: chunked", *lines, body=body)
