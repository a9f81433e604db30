"""IDLE (RFC 2177) that misses nothing.

imap-tools' own asks the socket alone: what came in one piece with the answer to IDLE lies in a
buffer and is overlooked, and a connection that ended looks like one on which nothing happens.
"""

from __future__ import annotations

import select
import ssl

from imap_tools import BaseMailBox

SLICE = 1.0
"""Seconds of one look at an idle connection: a stop waits no longer."""


class Idle:
    """One IDLE command. All methods block and raise what imaplib raises."""

    def __init__(self, box: BaseMailBox) -> None:
        self._box = box
        self._client = box.client
        self._tag = b""

    def start(self) -> bool:
        """Begin; whether the server told of something before it agreed."""
        self._tag = self._client._command("IDLE")
        told = False
        while not (line := self._client.readline()).startswith(b"+"):
            if not line or line.startswith(self._tag):
                raise ConnectionError(f"IDLE refused: {line!r}")
            told = True
        return told

    def look(self) -> bool:
        """Whether the server said something, now or within ``SLICE`` seconds."""
        sock = self._client.sock
        before = sock.gettimeout()
        sock.settimeout(0)
        try:
            if self._lines():
                return True
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            return bool(poll.poll(SLICE * 1000)) and self._lines(ready=True)
        finally:
            sock.settimeout(before)

    def stop(self) -> None:
        """End it, and wait for the server's word."""
        self._client.send(b"DONE\r\n")
        self._box.consume_until_tagged_response(self._tag)

    def _lines(self, ready: bool = False) -> bool:
        """Read what is there; ``ready``: the socket says there is something, if only the end."""
        told = False
        try:
            while self._client.readline():
                told = True
        except (BlockingIOError, ssl.SSLWantReadError):
            return told
        if ready and not told:
            raise ConnectionError("the server closed the connection")
        return told
