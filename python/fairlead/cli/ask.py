"""Talk to a running fairlead over its control socket, by the same API that everybody uses.

Decides which instance is meant, and how its answers become errors. Doesn't know what the answers
mean. The sockets are found by ``control.paths``; no event loop is needed to ask a question.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from fairlead.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h11

    from fairlead.control.paths import Instance

__all__ = ["Answer", "Running", "find"]

# A reload may wait five seconds for DNS, and for ports; everything else answers at once.
_PATIENCE_SECONDS = 30.0

# What needs Python is refused when it gives no sign of life for a second. A long import or a machine
# that is busy elsewhere is over soon; a policy that keeps the interpreter may never be.
_STUCK_SECONDS = 5.0
_AGAIN_SECONDS = 0.5
_PIECE = 65_536


class Answer(NamedTuple):
    """What an instance said."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)


class Running:
    """A running fairlead, reached by its control socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ask(self, method: str, target: str, body: Any = None) -> Answer:
        """Ask one question. Again for some seconds, where it is only that Python is away.

        Raises:
            ControlError: No answer, or the answer is a refusal; it has the refusal's words.
        """
        end = time.monotonic() + _STUCK_SECONDS
        while True:
            answer = self._ask_once(method, target, body)
            if answer.status < 400:
                return answer
            refusal = _refusal(answer)
            if refusal.code != "python_stuck" or time.monotonic() > end:
                raise refusal
            time.sleep(_AGAIN_SECONDS)

    def _ask_once(self, method: str, target: str, body: Any) -> Answer:
        try:
            with self._connect() as sock:
                return _exchange(sock, method, target, body)
        except OSError as error:
            raise self._gone(error) from None

    def change(self, pool: str, backend: str, wish: dict[str, Any]) -> Any:
        """Change what is wanted of a backend; answers its row afterwards."""
        target = f"/v1/pools/{quote(pool, safe='')}/backends/{quote(backend, safe='')}"
        return self.ask("PATCH", target, wish).json

    def events(self, after: int) -> Iterator[str]:
        """Events after this one, each a JSON object, as they happen; ends when the instance does.

        Raises:
            ControlError: It can't be reached.
        """
        stopping = False
        try:
            with self._connect() as sock:
                for event in _sent_events(sock, f"/v1/events?after={after}"):
                    stopping = stopping or json.loads(event).get("event") == "stopping"
                    yield event
        except OSError as error:
            if not stopping:
                raise self._gone(error) from None

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(_PATIENCE_SECONDS)
        try:
            sock.connect(str(self.path))
        except OSError:
            sock.close()
            raise
        return sock

    def _gone(self, error: OSError) -> ControlError:
        reason = (error.strerror or str(error)).lower()
        return ControlError(f"no answer from the fairlead at {self.path}: {reason}")


def find(which: str | None) -> Running:
    """The instance that is meant: the only one, or the one named.

    Without a name only those of the nearest directory count: an instance of another environment
    makes no question of what is meant here. A name is looked for there first, then everywhere.

    Args:
        which: A process id, the configuration's name, or the path of a control socket.

    Raises:
        ControlError: There is none, or there are several.
    """
    if which is not None and "/" in which and Path(which).is_socket():
        return Running(Path(which))
    from fairlead.control import paths

    running = paths.instances()
    if which is not None:
        return _named(which, running) or _found(which, paths.all_instances())
    if len(running) == 1:
        return Running(running[0].path)
    if not running:
        hint = "start one: `fairlead http :8080 app1:8000`, or `fairlead run`"
        raise ControlError("no fairlead of yours is running", hint)
    listed = "\n".join(f"  {each.pid}  {_name(each) or '?'}" for each in running)
    raise ControlError(
        f"{len(running)} are running:\n{listed}", f"say which: `--instance {running[0].pid}`"
    )


def _named(which: str, running: list[Instance]) -> Running | None:
    """The one of these that is called so, if there is exactly one."""
    for each in running:
        if which in (str(each.pid), str(each.path)):
            return Running(each.path)
    names = {each: _name(each) for each in running}
    exact = [each for each, name in names.items() if name and _same_file(name, which)]
    loose = [each for each, name in names.items() if name and Path(name).stem == which]
    found = exact or loose
    return Running(found[0].path) if len(found) == 1 else None


def _found(which: str, running: list[Instance]) -> Running:
    """The one of these that is called so.

    Raises:
        ControlError: There is none, or there are several.
    """
    found = _named(which, running)
    if found is not None:
        return found
    names = {each: _name(each) for each in running}
    several = any(name and _is_called(name, which) for name in names.values())
    listed = ", ".join(f"{each.pid} ({name or '?'})" for each, name in names.items())
    what = "several are" if several else "none is"
    raise ControlError(f"{what} called `{which}`", f"running: {listed or 'none'}")


def _is_called(name: str, which: str) -> bool:
    return _same_file(name, which) or Path(name).stem == which


def _same_file(one: str, other: str) -> bool:
    return one == other or Path(one).name == other or Path(one).resolve() == Path(other).resolve()


def _name(instance: Instance) -> str | None:
    """What an instance calls its configuration, if it answers."""
    try:
        return str(Running(instance.path).ask("GET", "/v1/status").json.get("config") or "") or None
    except (ControlError, ValueError):
        return None


# -------------------------------------------------------------------------------------- the protocol


def _exchange(sock: socket.socket, method: str, target: str, body: Any) -> Answer:
    import h11

    wire = _Wire(sock)
    wire.send(method, target, body)
    status, pieces = 0, []
    for event in wire.events():
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            pieces.append(bytes(event.data))
    return Answer(status, b"".join(pieces))


def _sent_events(sock: socket.socket, target: str) -> Iterator[str]:
    """The data of server-sent events."""
    import h11

    wire = _Wire(sock)
    wire.send("GET", target, None)
    status, rest, refused = 0, b"", b""
    for event in wire.events():
        if isinstance(event, h11.Response):
            status = event.status_code
            # From now on silence means that nothing happens.
            sock.settimeout(None)
        elif isinstance(event, h11.Data) and status >= 400:
            refused += bytes(event.data)
        elif isinstance(event, h11.Data):
            *lines, rest = (rest + bytes(event.data)).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    yield line.removeprefix(b"data:").strip().decode()
    if status >= 400:
        raise _refusal(Answer(status, refused))


class _Wire:
    """HTTP on a connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        import h11

        self._sock = sock
        self._connection = h11.Connection(h11.CLIENT)

    def send(self, method: str, target: str, body: Any) -> None:
        import h11

        data = b"" if body is None else json.dumps(body).encode()
        headers = [("Host", "localhost"), ("Connection", "close")]
        if data:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        request = h11.Request(method=method, target=target, headers=headers)
        self._send(request)
        if data:
            self._send(h11.Data(data=data))
        self._send(h11.EndOfMessage())

    def _send(self, event: h11.Event) -> None:
        data = self._connection.send(event)
        if data:
            self._sock.sendall(data)

    def events(self) -> Iterator[h11.Event]:
        """What comes back, up to its end."""
        import h11

        while True:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError:
                raise ConnectionResetError("it broke off its answer") from None
            if event is h11.NEED_DATA:
                self._connection.receive_data(self._sock.recv(_PIECE))
                continue
            if isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                return
            assert not isinstance(event, type)  # NEED_DATA and PAUSED are classes
            yield event


def _refusal(answer: Answer) -> ControlError:
    try:
        told = answer.json
        return ControlError(str(told["detail"]), told.get("hint"), told.get("code"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ControlError(f"it answered with status {answer.status}")
