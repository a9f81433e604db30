"""One message from delivery to settlement: heartbeat, handler, decision, outcome."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

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
MAX_REASON = 2000
"""Characters of a dead letter's reason; with the largest message it stays below max_payload."""
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
        self._finished = 0
        self._first_held: dict[int, int] = {}
        """Of a message held once: how many others the stage had finished then."""
        self._stored: dict[str, datetime] = {}
        """When each message in hand entered the stream, by its reply subject."""
        self._beating: asyncio.Task[None] | None = None
        telemetry.OLDEST.labels(stage.durable).set_function(self._oldest)
        self._in_hand = telemetry.IN_HAND.labels(stage.durable)
        self._seconds = telemetry.SECONDS.labels(stage.durable)
        self._latency = telemetry.LATENCY.labels(stage.durable)
        self._handled = {  # from the start: alerts count from nought, not from the first
            outcome: telemetry.HANDLED.labels(stage.durable, outcome.__name__.lower())
            for outcome in (Ack, Retry, DeadLetter)
        }
        self.puller: Puller

    async def __call__(self, msg: Msg) -> None:
        """Work on ``msg`` until it is settled; a cancellation hands it back."""
        structlog.contextvars.bind_contextvars(stage=self._stage.durable)
        attempt, began = msg.metadata.num_delivered, time.monotonic()
        with self._kept(msg):
            try:
                outcome = before(attempt, self._stage.policy) or await self._run(msg, attempt)
                await self._settle(msg, outcome, attempt)
                spent = round(time.monotonic() - began, 4)
                log.info("handled", outcome=_name(outcome), attempt=attempt, seconds=spent)
            except asyncio.CancelledError:
                await self._answer(msg, _nak(GONE_SOON))
                raise

    async def _run(self, msg: Msg, attempt: int) -> Outcome:
        outcome = await self._once(msg, attempt, held=0, others_pass=False)
        if not isinstance(outcome, Hold):
            return outcome
        log.warning("dependency down, message held", reason=outcome.reason)
        finished = self._first_held.setdefault(msg.metadata.sequence.stream, self._finished)
        held = 0
        with self._no_fetching() as fetch_again:
            while isinstance(outcome, Hold):
                if self.puller.stopping:
                    return Retry(GONE_SOON, outcome.reason)
                held += 1
                telemetry.HELD.labels(self._stage.durable).inc()
                await asyncio.sleep(_spread(outcome.delay))
                if held == self._stage.policy.patience and await self._answering():
                    fetch_again()  # perhaps it is this message alone: others will show
                others_pass = self._finished > finished
                outcome = await self._once(msg, attempt, held, others_pass)
        return outcome

    async def _once(self, msg: Msg, attempt: int, held: int, others_pass: bool) -> Outcome:
        policy = self._stage.policy
        try:
            with self._seconds.time():
                async with asyncio.timeout(self._stage.cap):
                    await self._handle(msg)
        except Exception as error:  # noqa: BLE001 - every error has an outcome: decide() names it
            outcome = decide(error, attempt, policy, held=held, others_pass=others_pass)
            if not isinstance(outcome, Hold):
                log.warning(
                    "handler failed",
                    attempt=attempt,
                    error=telemetry.words(error),
                    outcome=_name(outcome),
                )
                log.debug("handler failed because", reason=str(error))
            return outcome
        self._finished += 1
        return Ack()

    @contextmanager
    def _no_fetching(self) -> Iterator[Callable[[], None]]:
        """While a dependency is down the stage takes nothing new, until the yielded call."""
        puller, suspect = self.puller, False
        puller.held += 1

        def fetch_again() -> None:
            nonlocal suspect
            suspect = True
            puller.held -= 1
            puller.suspect += 1

        try:
            yield fetch_again
        finally:
            puller.suspect -= suspect
            puller.held -= not suspect

    async def _settle(self, msg: Msg, outcome: Outcome, attempt: int) -> None:
        if not isinstance(outcome, Retry):
            self._first_held.pop(msg.metadata.sequence.stream, None)
        match outcome:
            case Ack():
                await self._answer(msg, b"+ACK")
            case Retry(delay):
                await self._answer(msg, _nak(_spread(delay)))
            case DeadLetter(error, reason):
                await self._bury(msg, error, reason, attempt)
                await self._answer(msg, b"+TERM")
            case Hold():
                raise AssertionError("a held message is not settled")
        self._handled[type(outcome)].inc()
        if not isinstance(outcome, Retry):
            self._latency.observe(_age(msg.metadata.timestamp))

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

    @contextmanager
    def _kept(self, msg: Msg) -> Iterator[None]:
        """The broker hears of ``msg`` well within ack_wait as long as it is in hand."""
        self._in_hand.inc()
        self._stored[msg.reply] = msg.metadata.timestamp
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat(), name=f"beat {self._stage.durable}")
        try:
            yield
        finally:
            del self._stored[msg.reply]
            if not self._stored and self._beating:
                self._beating.cancel()
                self._beating = None
            self._in_hand.dec()

    def _oldest(self) -> float:
        """Seconds; called by the thread that a scrape runs in."""
        return max(map(_age, list(self._stored.values())), default=0.0)

    async def _beat(self) -> None:
        """For all messages in hand by one timer: each waits for its first beat no longer."""
        while True:
            await asyncio.sleep(self._stage.ack_wait / 3)
            for reply in list(self._stored):
                try:
                    await self._connection.publish(reply, b"+WPI")
                except (NatsError, OSError) as error:
                    log.warning("heartbeat not sent", error=repr(error))


def _age(stored: datetime) -> float:
    """Seconds since then, by this machine's clock against the broker's."""
    return max(0.0, (utcnow() - stored).total_seconds())


def _name(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()


def _spread(delay: float) -> float:
    return jittered(delay, random.random())  # noqa: S311 - only spreads load


def _nak(delay: float) -> bytes:
    return b'-NAK {"delay": %d}' % int(delay * 1e9)


def dead_letter(stage: Stage, msg: Msg, error: str, reason: str, attempt: int) -> MessageDead:
    """The dead letter of ``msg``: one id per delivery place, so that it is kept once."""
    meta = msg.metadata
    if len(reason) > MAX_REASON:
        reason = f"{reason[:MAX_REASON]}…"
    data = MessageDeadData(
        stage=stage.durable,
        stream=meta.stream,
        sequence=meta.sequence.stream,
        original_subject=msg.subject,
        attempt=attempt,
        error=error,
        reason=reason,
        payload=base64.b64encode(msg.data),
        headers={key: value[:200] for key, value in (msg.headers or {}).items()},
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
