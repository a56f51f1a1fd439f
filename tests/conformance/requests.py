"""The rules for requests, and messages that keep or break each: a table that is read by people.

`corpus` makes the data of it. What can be read in one way only is passed on, everything else is
refused; where the RFCs leave a choice, ``says`` tells which was made.
"""

from __future__ import annotations

from conformance.request_bodies import CHUNKS, FRAMING
from conformance.request_fields import CONNECTIONS, FIELDS
from conformance.request_lines import LINES, START
from conformance.request_targets import TARGETS

RULES = [*LINES, *START, *TARGETS, *FRAMING, *CHUNKS, *FIELDS, *CONNECTIONS]
"""All of them."""
