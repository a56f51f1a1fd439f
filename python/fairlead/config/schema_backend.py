"""Backends: their part of the schema (see `schema`)."""

from typing import Annotated, Any, Final

import msgspec

from fairlead.config import units
from fairlead.config.form import (
    Choice,
    Form,
    Path,
    Reading,
    Spelled,
    Whole,
)
from fairlead.config.table import Key, Table
from fairlead.config.tree import Node
from fairlead.errors import ConfigError

__all__ = ["BACKEND", "Backend"]


class Backend(msgspec.Struct, frozen=True):
    """One server. A text says the same as a table: ``"app1:8000*3"``."""

    address: Annotated[
        str,
        Key(
            Spelled(
                lambda text, at: units.parse_backend(text, at=at),
                'an address such as "app1:8000", "http://app1:8000" or "unix:/path"',
            ),
            'Where it is: "host:port", "http://host:port" or "unix:/path". Names are resolved, '
            "and again while fairlead runs; none is followed to 169.254.0.0/16 or a cloud's metadata "
            "service, which take the address itself.",
        ),
    ]
    weight: Annotated[
        int,
        Key(
            Whole(0, 256),
            "Its share of the traffic against the others' of its group; 0 means no new traffic.",
        ),
    ] = 1
    group: Annotated[
        int,
        Key(
            Whole(0, 65_535),
            "Group 0 takes traffic first; a higher one only while all lower ones have nobody "
            "available.",
        ),
    ] = 0
    max_connections: Annotated[
        int | None,
        Key(
            Whole(1, 10_000_000),
            "Requests (http) or connections (tcp) in flight to it at once; more go elsewhere.",
            default="no limit",
        ),
    ] = None
    state: Annotated[
        str,
        Key(
            Choice("a state", ("enabled", "draining", "disabled")),
            "What the operator wants of it at the start: `draining` and `disabled` get nothing "
            "new.",
        ),
    ] = "enabled"


class _Backend(Form[Backend]):
    """A backend as a text or a table."""

    blank = None
    expected = 'an address such as "app1:8000", or a table with `address`'

    def __init__(self) -> None:
        self._table = Table(Backend, "a backend", later=("slow_start", "tls", "name"))

    def read(self, node: Node, reading: Reading, path: Path) -> Backend:
        """The backend."""
        if node.kind == "table":
            return self._table.read(_without_star(node, reading), reading, path)
        if node.kind != "string":
            raise self.misfit(node, path)
        if "," in node.value and not node.value.startswith("unix:"):
            hint = 'write one text for each: ["app1:8000", "app2:8000"]'
            found = f"`{node.value}` is more than one address"
            raise ConfigError("address.form", found, "one backend", node.place, hint)
        text, weight = units.parse_weighted(node.value, at=node.place)
        address = units.parse_backend(text, at=node.place)
        return Backend(address) if weight is None else Backend(address, weight)

    def spell(self, value: Backend) -> Any:
        """A text if address and weight are all there is to say."""
        spelled = self._table.write(value)
        if "*" in value.address:
            return spelled  # of a path; at the end of a text it would begin a weight
        if set(spelled) == {"address"}:
            return spelled["address"]
        if set(spelled) == {"address", "weight"}:
            return f"{spelled['address']}*{spelled['weight']}"
        return spelled

    def schema(self) -> dict[str, Any]:
        """A string or an object."""
        return {"anyOf": [{"type": "string"}, self._table.schema()]}


def _without_star(node: Node, reading: Reading) -> Node:
    """Say that a weight has its own key where a table has one at the end of the address."""
    kept = []
    for entry in node.value:
        value = entry.node.value
        is_address = entry.key == "address" and entry.node.kind == "string"
        if is_address and "*" in value and not value.startswith("unix:"):
            address, _, weight = value.rpartition("*")
            hint = f'write {{ address = "{address}", weight = {weight} }}'
            found = f"`{value}` has a weight at its end"
            reading.report(
                ConfigError("address.form", found, "the address alone", entry.node.place, hint)
            )
            broken = Node("broken", None, entry.node.place)
            kept.append(entry._replace(node=broken))
        else:
            kept.append(entry)
    return node._replace(value=kept)


BACKEND: Final = _Backend()
