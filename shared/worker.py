"""One message from delivery to settlement: heartbeat, handler, decision, outcome."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from shared import telemetry
from shared.clock import utcnow
from shared.delivery import (
    Ack,
    DeadLetter,
    Hold,
    Outcome,
    Retry,
    Unavailable,
    before,
    decide,
    jittered,
)
from shared.document_events import MessageDead, MessageDeadData
from shared.envelope import Event
from shared.identity import stable_id
from shared.puller import Puller
from shared.topology import Stage

log = structlog.get_logger()

SETTLE_TIMEOUT = 5.0
GONE_SOON = 1.0
"""Delay in seconds of a message handed back at shutdown, so that another replica takes it."""


class Worker:
    """Runs the stage's handler on one message at a time and carries out what ``decide`` says."""

    def __init__(
        self,
        connection: Client,
        stage: Stage,
        handle: Callable[[Msg], Awaitable[object]],
        say: Callable[[Event], Awaitable[None]],
        answering: Callable[[], Awaitable[bool]],
    ) -> None:
        self._connection = connection
        self._stage = stage
        self._handle = handle
        self._say = say
        self._answering = answering
        self.puller: Puller | None = None

    async def __call__(self, msg: Msg) -> None:
        """Work on ``msg`` until it is settled; a cancellation hands it back."""
        structlog.contextvars.bind_contextvars(stage=self._stage.durable)
        attempt = msg.metadata.num_delivered
        async with self._heartbeat(msg):
            try:
                outcome = before(attempt, self._stage.policy) or await self._run(msg, attempt)
                await self._settle(msg, outcome, attempt)
            except asyncio.CancelledError:
                await self._answer(msg, _nak(GONE_SOON))
                raise

    async def _run(self, msg: Msg, attempt: int) -> Outcome:
        outcome = await self._once(msg, attempt, held=0)
        if not isinstance(outcome, Hold):
            return outcome
        log.warning("dependency down, message held", reason=outcome.reason)
        with self._no_fetching():
            held = 0
            while isinstance(outcome, Hold):
                if self.puller and self.puller.stopping:
                    return Retry(GONE_SOON, outcome.reason)
                held += 1
                telemetry.HELD.labels(self._stage.durable).inc()
                await asyncio.sleep(jittered(outcome.delay, random.random()))  # noqa: S311 - only spreads load
                outcome = await self._once(msg, attempt, held)
        return outcome

    async def _once(self, msg: Msg, attempt: int, held: int) -> Outcome:
        policy = self._stage.policy
        try:
            with telemetry.SECONDS.labels(self._stage.durable).time():
                async with asyncio.timeout(self._stage.cap):
                    await self._handle(msg)
        except Exception as error:  # noqa: BLE001 - every error has an outcome: decide() names it
            answering = held >= policy.patience and await self._answering()
            outcome = decide(error, attempt, policy, held=held, answering=answering)
            if not isinstance(outcome, Hold):
                log.warning("handler failed", attempt=attempt, error=repr(error), outcome=outcome)
            return outcome
        return Ack()

    @contextmanager
    def _no_fetching(self) -> Iterator[None]:
        """While a dependency is down the stage keeps what it has and takes nothing new."""
        if self.puller:
            self.puller.held += 1
        try:
            yield
        finally:
            if self.puller:
                self.puller.held -= 1

    async def _settle(self, msg: Msg, outcome: Outcome, attempt: int) -> None:
        match outcome:
            case Ack():
                await self._answer(msg, b"+ACK")
            case Retry(delay):
                spread = jittered(delay, random.random())  # noqa: S311 - only spreads load
                await self._answer(msg, _nak(spread))
            case DeadLetter(error, reason):
                await self._bury(msg, error, reason, attempt)
                await self._answer(msg, b"+TERM")
            case Hold():
                raise AssertionError("a held message is not settled")
        telemetry.HANDLED.labels(self._stage.durable, type(outcome).__name__.lower()).inc()

    async def _bury(self, msg: Msg, error: str, reason: str, attempt: int) -> None:
        """Publish the dead letter, waiting for the broker as long as it takes."""
        dead = dead_letter(self._stage, msg, error, reason, attempt)
        tries = 0
        while True:
            try:
                return await self._say(dead)
            except Unavailable as gone:
                log.warning("dead letter not taken yet", reason=str(gone))
                await asyncio.sleep(self._stage.policy.hold_delay(tries))
                tries += 1

    async def _answer(self, msg: Msg, body: bytes) -> None:
        """Settle with the broker's word; without it the message is delivered again."""
        try:
            await self._connection.request(msg.reply, body, timeout=SETTLE_TIMEOUT)
        except (NatsError, TimeoutError) as error:
            log.warning("settlement unanswered, the message may come again", error=repr(error))

    @asynccontextmanager
    async def _heartbeat(self, msg: Msg) -> AsyncIterator[None]:
        telemetry.IN_HAND.labels(self._stage.durable).inc()
        beat = asyncio.create_task(self._beat(msg))
        try:
            yield
        finally:
            beat.cancel()
            telemetry.IN_HAND.labels(self._stage.durable).dec()

    async def _beat(self, msg: Msg) -> None:
        while True:
            await asyncio.sleep(self._stage.ack_wait / 3)
            try:
                await self._connection.publish(msg.reply, b"+WPI")
            except NatsError as error:
                log.warning("heartbeat not sent", error=repr(error))


def _nak(delay: float) -> bytes:
    return b'-NAK {"delay": %d}' % int(delay * 1e9)


def dead_letter(stage: Stage, msg: Msg, error: str, reason: str, attempt: int) -> MessageDead:
    """The dead letter of ``msg``: one id per delivery place, so that it is kept once."""
    meta = msg.metadata
    data = MessageDeadData(
        stage=stage.durable,
        stream=meta.stream,
        sequence=meta.sequence.stream,
        original_subject=msg.subject,
        attempt=attempt,
        error=error,
        reason=reason,
        payload=base64.b64encode(msg.data),
        headers=dict(msg.headers or {}),
    )
    return MessageDead.make(
        source=stage.service,
        subject=f"{meta.stream}/{meta.sequence.stream}",
        time=utcnow(),
        data=data,
        id=stable_id(
            "dead",
            stage.durable,
            meta.stream,
            str(meta.sequence.stream),
            meta.timestamp.isoformat(),
        ),
    )
