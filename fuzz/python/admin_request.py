"""Any bytes on an admin address that wants a token: answers are HTTP, and nobody gets in.

What comes back reads strictly and is never a fault of ours; nothing but ``/healthz`` is answered,
nothing changed, unless the input shows the token; and a token that is shown as a credential comes
back in no answer. (The seeds have ``@T@`` where it stands, so that what lies behind the door is
reached, too.)

    python fuzz/python/admin_request.py [libFuzzer's options] [corpus]
"""

import asyncio
import re
import sys

import atheris

with atheris.instrument_imports(include=["fairlead", "h11"]):
    import h11

    from fairlead.control.api import Api
    from fairlead.control.events import EventLog
    from fairlead.control.guard import Access
    from fairlead.control.http import Exchanges
    from fairlead.control.routes import SMALL

TOKEN = "0123456789abcdef-TOKEN"
_PLACE = b"@T@"
"""Where an input has this, the token stands."""
_CREDENTIALS = re.compile(rb"^authorization:[^\r\n]*", re.IGNORECASE | re.MULTILINE)


class Offer:
    """What is behind the API: it remembers what was asked of it."""

    def __init__(self):
        self.events = EventLog()
        self.stopping = False
        self.has_token = True
        self.touched = []

    def _row(self):
        return b'{"name":"app","backends":[{"address":"a:1","state":"enabled","weight":1}]}'

    async def status(self):
        self.touched.append("status")
        return b"{}"

    def pool_status(self, name):
        self.touched.append("pool")
        return self._row() if name == "app" else None

    def pool_names(self):
        self.touched.append("pools")
        return ["app"]

    async def metrics(self, *, openmetrics):
        self.touched.append("metrics")
        return b"# EOF\n"

    def set_backend(self, *_):
        self.touched.append("set")

    async def add_backend(self, *_):
        self.touched.append("add")

    async def remove_backend(self, *_):
        self.touched.append("remove")

    async def play_chaos(self, _):
        self.touched.append("chaos")
        return {}

    async def end_chaos(self):
        self.touched.append("chaos")
        return {}

    async def chaos(self):
        self.touched.append("chaos")
        return {}

    async def reload(self):
        self.touched.append("reload")
        return []

    def config_text(self):
        self.touched.append("config")
        return ""

    async def plan_config(self, *_, **__):
        self.touched.append("plan")
        return []

    async def use_config(self, *_, **__):
        self.touched.append("use")
        return []


class Writer:
    """Keeps what is written; a stream of events has an end here."""

    def __init__(self, reader):
        self.data = bytearray()
        self._task = asyncio.current_task()
        self._pieces = 0
        del reader

    def write(self, data):
        self.data += data

    async def drain(self):
        self._pieces += 1
        if self._pieces > 50:
            raise ConnectionResetError

    def close(self):
        return


async def _play(data: bytes, offer: Offer) -> bytes:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    writer = Writer(reader)
    api, access = Api(offer), Access(tcp=True, token=TOKEN, hosts=frozenset(("lb",)))

    def admit(head):
        route = api.find(head)
        access.check(head, route, "127.0.0.1")
        return route.body.bytes_max if route is not None and route.body is not None else SMALL

    # A stream of events waits for the next one for ever.
    try:
        async with asyncio.timeout(0.02):
            await Exchanges(reader, writer, api.answer, admit).run()
    except TimeoutError:
        pass
    return bytes(writer.data)


def one(data: bytes) -> None:
    """Check one input."""
    token = TOKEN.encode()
    data = data.replace(_PLACE, token)
    shows = token in data
    offer = Offer()
    said = asyncio.run(_play(data, offer))
    # Who asks for a path with the token in it is told which path there isn't.
    if token not in _CREDENTIALS.sub(b"", data):
        assert token not in said
    if not shows:
        assert offer.touched == [], offer.touched
    if not said:
        return
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "lb")]))
    client.send(h11.EndOfMessage())
    client.receive_data(said)
    while isinstance(event := client.next_event(), h11.InformationalResponse):
        pass
    assert isinstance(event, h11.Response), event
    assert event.status_code not in (500, 502), said
    if not shows:
        assert event.status_code >= 400 or b"healthz" in data, said


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
