"""The rules for responses, and messages that keep or break each: a table that is read by people.

A backend gets no more leniency than a client: what it sends is what our client's parser will see.
"""

from __future__ import annotations

from conformance.response_bodies import CHUNKS, FRAMING
from conformance.response_fields import FIELDS, INTERIM
from conformance.response_lines import LINES, STATUS

RULES = [*STATUS, *LINES, *FRAMING, *CHUNKS, *FIELDS, *INTERIM]
"""All of them."""
