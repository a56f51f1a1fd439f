"""What an intermediary has to make of a message that `strict` has read.

It knows of fairlead only its documented choices: which of the RFCs' ways it takes where there are
two.
"""

from __future__ import annotations

from conformance.strict import ABSOLUTE, Field, Message

HOP_BY_HOP = frozenset(
    [
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ]
)
PROTECTED = frozenset(
    [
        "cache-control",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "expect",
        "host",
        "transfer-encoding",
        "via",
    ]
)
NO_TRAILERS = (
    HOP_BY_HOP | PROTECTED | {"authorization", "cookie", "max-forwards", "set-cookie", "trailer"}
)
_FORWARDING = frozenset(["forwarded", "x-real-ip", "x-request-id"])
_DASHED = HOP_BY_HOP | PROTECTED | _FORWARDING | {"max-forwards", "set-cookie"}


def local_status(message: Message) -> int | None:
    """The status with which an intermediary answers this request itself, though it is right."""
    method, target, _ = message.start
    if method in ("OPTIONS", "TRACE"):
        counts = [int(value) for value in message.values("max-forwards")]
        if counts and min(counts) == 0:
            return 200 if method == "OPTIONS" else 405
    return 421 if target.lower().startswith("https://") else None


def onward_target(message: Message) -> str:
    """The target as it goes on: in origin form, or ``*``."""
    method, target, _ = message.start
    absolute = ABSOLUTE.fullmatch(target)
    if absolute is None:
        return target
    rest = absolute[3]
    if not rest and method == "OPTIONS":
        return "*"
    return rest if rest.startswith("/") else f"/{rest}"


def _end_to_end(message: Message) -> list[Field]:
    nominated = set(message.elements("connection"))

    def ends_here(name: str) -> bool:
        named = name in nominated and name not in PROTECTED
        return name in HOP_BY_HOP or is_alias(name) or named

    return [field for field in message.fields if not ends_here(field[0])]


def onward_trailers(message: Message) -> tuple[Field, ...]:
    """The trailers that go on."""
    nominated = set(message.elements("connection"))

    def goes_on(name: str) -> bool:
        ends = name in NO_TRAILERS or is_forwarding(name) or is_alias(name)
        return not ends and name not in nominated

    return tuple(field for field in message.trailers if goes_on(field[0]))


def onward_fields(message: Message, backend: str, client: str) -> list[Field]:
    """The header lines that a backend has to get, sorted; the request's id is ``*``."""
    method, target, _ = message.start
    fields = [
        field
        for field in _end_to_end(message)
        if not is_forwarding(field[0])
        and field[0] not in ("host", "content-length")
        and not (field[0] == "expect" and message.is_old)
        and not (field[0] == "max-forwards" and method in ("OPTIONS", "TRACE"))
    ]
    absolute = ABSOLUTE.fullmatch(target)
    hosts = [absolute[2].encode("latin-1")] if absolute else message.values("host")
    fields.append(("host", hosts[0] if hosts else backend.encode()))
    if hosts:
        fields.append(("x-forwarded-host", hosts[0]))
    fields += [
        ("x-forwarded-for", client.encode()),
        ("x-forwarded-proto", b"http"),
        ("x-request-id", b"*"),
        ("via", b"1.0 fairlead" if message.is_old else b"1.1 fairlead"),
    ]
    if message.values("max-forwards") and method in ("OPTIONS", "TRACE"):
        count = min(map(int, message.values("max-forwards")))
        fields.append(("max-forwards", b"%d" % (count - 1)))
    return sorted([*fields, *_framing_fields(message), *_connection_fields(message)])


def _framing_fields(message: Message) -> list[Field]:
    if message.framing == "chunked":
        return [("transfer-encoding", b"chunked")]
    return [("content-length", b"%d" % len(message.body))] if message.framing == "length" else []


def _connection_fields(message: Message) -> list[Field]:
    options: list[bytes] = []
    fields: list[Field] = []
    upgrades = (
        message.start[0] == "GET"
        and not message.is_old
        and "upgrade" in message.elements("connection")
        and "websocket" in message.elements("upgrade")
        and message.framing != "chunked"
        and not message.body
    )
    if upgrades:
        options.append(b"Upgrade")
        fields.append(("upgrade", b"websocket"))
    if "trailers" in message.elements("te"):
        options.append(b"TE")
        fields.append(("te", b"trailers"))
    return [*fields, ("connection", b", ".join(options))] if options else fields


def onward_response(message: Message, client: str) -> list[Field]:
    """The header lines that a client of this version has to get, sorted; a time of ours is ``*``."""
    is_old = client == "HTTP/1.0"
    bodiless = int(message.start[1]) < 200 or message.start[1] == "204"
    unchunked = is_old and message.framing == "chunked"
    fields = []
    for name, value in _end_to_end(message):
        if name == "content-length":
            if not bodiless:
                fields.append((name, b"%d" % int(value)))
        elif not (unchunked and name == "trailer"):
            fields.append((name, value))
    if not message.values("date"):
        fields.append(("date", b"*"))
    fields.append(("via", b"1.0 fairlead" if message.is_old else b"1.1 fairlead"))
    if message.framing in ("chunked", "close") and not is_old:
        fields.append(("transfer-encoding", b"chunked"))
    if is_old:
        ends = message.framing in ("chunked", "close")
        fields.append(("connection", b"close" if ends else b"keep-alive"))
    return sorted(fields)


def is_forwarding(name: str) -> bool:
    """Whether it tells a backend who its client was."""
    return name in _FORWARDING or (name.startswith("x-forwarded-") and name != "x-forwarded-")


def is_alias(name: str) -> bool:
    """Whether it is another spelling of a name that matters, to what makes variables of names."""
    dashed = name.replace("_", "-")
    return "_" in name and (dashed in _DASHED or is_forwarding(dashed))
