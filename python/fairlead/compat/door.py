"""The instance's side of the rendezvous: conversations of `-c` and `-i`.

Not here: the socket's name and what is written there (`rendezvous`), what commands do (`shell`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fairlead.compat.rendezvous import Greeting
from fairlead.compat.shell import Shell
from fairlead.control.guard import Access
from fairlead.control.socket import Door

if TYPE_CHECKING:
    import asyncio
    import socket

    from fairlead.compat.shell import Steering
    from fairlead.control.paths import Listening

__all__ = ["Rendezvous"]


class Rendezvous(Door):
    """Where conversations come in. Each has a current group of its own."""

    def __init__(self, steering: Steering, listening: Listening) -> None:
        """Nothing is answered before `open`.

        Args:
            steering: What the commands steer.
            listening: Where; closed by `close`.
        """
        super().__init__(None, listening, Access())
        self._steering = steering

    def leave(self) -> None:
        """Let nobody in any more; who is in stays. Leaving twice is fine."""
        self._close_listening()

    async def _speak(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: socket.socket,
    ) -> None:
        del connection
        shell = Shell(self._steering)
        writer.write(Greeting(os.getpid(), shell.group).encode())
        try:
            # A line that is longer than the buffer is no line of commands.
            while (line := await reader.readline()).endswith(b"\n"):
                answer = await shell.run(line.decode("utf-8", "replace"))
                writer.write(answer.encode())
                await writer.drain()
                if answer.code is not None:
                    break
        except ValueError:
            return
        finally:
            writer.close()
