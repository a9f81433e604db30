"""The pull loop of one stage: asks JetStream for as many messages as there are free slots.

FastStream's own loop fetches a batch and waits for its slowest message, and spins when the
connection is gone. This one keeps one request open for the free slots, starts each message on
arrival, and knows by idle heartbeats whether the broker still serves it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.topology import Stage

log = structlog.get_logger()

EXPIRES = 30.0
HEARTBEAT = 2.0
LOST = 2.5 * HEARTBEAT
"""Seconds of silence after which open requests count as lost (a broker restart, say)."""


class Puller:
    """Feeds ``work`` with the stage's messages, at most ``stage.workers`` at once."""

    def __init__(
        self, connection: Client, stage: Stage, work: Callable[[Msg], Coroutine[Any, Any, None]]
    ) -> None:
        self._connection = connection
        self._stage = stage
        self._work = work
        self._asked: dict[str, int] = {}
        self._credit = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._serial = 0
        self._stopping = False
        self._loop: asyncio.Task[None] | None = None
        self._inbox = connection.new_inbox()
        self._silent_since = time.monotonic()
        self.held = 0
        """Messages that wait for a dependency: nothing new is taken meanwhile."""
        self.suspect = 0
        """Messages that wait alone, as far as is known: each leaves its slot to another."""
        self.last_fetch = time.monotonic()
        self.subscription: Subscription | None = None

    @property
    def in_hand(self) -> int:
        """Messages being worked on."""
        return len(self._tasks)

    @property
    def stopping(self) -> bool:
        """Whether no new message is taken any more."""
        return self._stopping

    @property
    def asking(self) -> bool:
        """Whether a request is open, so that the broker owes a sign of life."""
        return self._credit > 0

    async def open(self) -> None:
        """Subscribe to the inbox that messages arrive on."""
        self.subscription = await self._connection.subscribe(
            f"{self._inbox}.*", cb=self._received, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    def start(self) -> None:
        """Begin to fetch."""
        self._loop = asyncio.create_task(self._run(), name=f"pull {self._stage.durable}")

    def renew(self) -> None:
        """Forget open requests, after a reconnection: the broker has forgotten them too."""
        self._asked.clear()
        self._credit = 0
        self._wake.set()

    async def stop(self, deadline: float) -> int:
        """Stop fetching; finish what is in hand within ``deadline`` s, hand back the rest.

        Returns how many messages were handed back unfinished.
        """
        self._stopping = True
        if self._loop:
            self._loop.cancel()
        self._wake.set()
        unfinished: set[asyncio.Task[None]] = set()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=deadline)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        if self.subscription and not self._connection.is_closed:
            await self.subscription.unsubscribe()
        return len(unfinished)

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            if time.monotonic() - self._silent_since > LOST:
                self._silent_since = time.monotonic()
                self.renew()
            free = self._stage.workers + self.suspect - len(self._tasks) - self._credit
            if free > 0 and not self.held and self._connection.is_connected:
                await self._ask(free)
            try:
                await asyncio.wait_for(self._wake.wait(), HEARTBEAT)
            except TimeoutError:
                continue

    async def _ask(self, batch: int) -> None:
        if self._credit == 0:
            self._asked.clear()
        self._serial += 1
        reply = f"{self._inbox}.{self._serial}"
        self._asked[reply] = batch
        self._credit += batch
        wish = {
            "batch": batch,
            "expires": int(EXPIRES * 1e9),
            "idle_heartbeat": int(HEARTBEAT * 1e9),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stage.stream.name}.{self._stage.durable}"
        await self._connection.publish(subject, json.dumps(wish).encode(), reply=reply)

    async def _received(self, msg: Msg) -> None:
        self._silent_since = time.monotonic()
        status = (msg.headers or {}).get("Status") if not msg.data else None
        if status is None:
            self.last_fetch = time.monotonic()
            self._credit = max(0, self._credit - 1)
            await self._take(msg)
        elif status == "100":
            self.last_fetch = time.monotonic()
        else:
            await self._ended(msg, status)

    async def _take(self, msg: Msg) -> None:
        if self._stopping:
            await msg.nak()
            return
        task = asyncio.create_task(self._work(msg))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception():
            log.error(
                "message left to redelivery",
                stage=self._stage.durable,
                error=repr(task.exception()),
            )

    async def _ended(self, msg: Msg, status: str) -> None:
        """The broker ended a request: 408 expired, 404 nothing, 409 conflict, 503 no answer."""
        headers = msg.headers or {}
        asked = self._asked.pop(msg.subject, 0)
        undelivered = int(headers.get("Nats-Pending-Messages", asked))
        self._credit = max(0, self._credit - undelivered)
        if status in ("404", "408"):
            self.last_fetch = time.monotonic()
        else:
            log.warning(
                "fetch refused",
                stage=self._stage.durable,
                status=status,
                description=headers.get("Description", ""),
            )
            await asyncio.sleep(1)
        self._wake.set()
