"""The bus of one service: connects and answers by FastStream, pulls, publishes, asks, drains.

Stages do not pass through FastStream: measured, it took as long as all else we do per message, and
nothing of it is used there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.errors import APIError
from pydantic import BaseModel, ValidationError

from shared import settings, telemetry, tracing
from shared.admin import differences, security
from shared.answering import answered, read
from shared.delivery import BrokerDown, Invalid, Unavailable
from shared.envelope import Event
from shared.identifiers import identifiers
from shared.progress import DraftProgress
from shared.puller import Puller
from shared.queries import Query, Refusal
from shared.registry import expected, explain
from shared.topology import STREAMS, Stage, stream_of
from shared.worker import Worker

log = structlog.get_logger()

PUBLISH_TIMEOUT = 5.0
CHECK_EVERY = 10.0
PROBE_TIMEOUT = 3.0
TOO_LARGE = 10054
"""JetStream's error code for a message over the stream's ``max_msg_size``."""
MEDIA_TYPE = "application/cloudevents+json"

Probe = Callable[[], Awaitable[None]]
"""Returns when a dependency answers; raises ``Unavailable``."""
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])
A = TypeVar("A", bound=BaseModel)


class TopologyDiffers(settings.Misconfigured):
    """The broker's streams or consumers are not those of the topology."""


class Bus:
    """What a service hears, says, asks and answers."""

    def __init__(self, service: str, config: settings.Settings) -> None:
        self.service = service
        self.closed = asyncio.Event()
        self.needs: dict[str, Probe] = {}
        self._config = config
        self._stages: list[tuple[Stage, Callable[[Msg], Awaitable[None]]]] = []
        self._pullers: dict[str, Puller] = {}
        self._checks: asyncio.Task[None] | None = None
        self._checked = time.monotonic()
        self._connection: Client
        self._jetstream: JetStreamContext
        self.broker = NatsBroker(
            config.nats.url,
            name=f"sourcier-{service}",
            security=security(config.nats),
            inbox_prefix=f"_INBOX_{service}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            error_cb=self._failed,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
            closed_cb=self._closed,
            logger=None,
            apply_types=False,  # decoders give what handlers take; it would be checked again
        )

    def hears(self, stage: Stage) -> Callable[[Handler], Handler]:
        """Register the handler of ``stage``: it gets the decoded event; returning means done."""

        def register(handler: Handler) -> Handler:
            async def handle(msg: Msg) -> None:
                event = expected(stage.event, msg.data)
                structlog.contextvars.bind_contextvars(
                    event_id=str(event.id),
                    event_type=event.type,
                    trace_id=tracing.enter(event),
                    **identifiers(event),
                )
                with tracing.working(stage, event):
                    await handler(event)

            self._stages.append((stage, handle))
            return handler

        return register

    def answers(self, query: type[Query]) -> Callable[[Handler], Handler]:
        """Register the answer to an interactive request; replicas share the requests."""

        async def decoded(message: NatsMessage) -> Query | Refusal:
            try:
                return query.model_validate_json(message.body)
            except ValidationError as error:
                return Refusal(code="invalid", detail=explain(error))

        def register(handler: Handler) -> Handler:
            async def answer(request: Any) -> bytes:
                with tracing.answering(query.SUBJECT, getattr(request, "traceparent", None)):
                    return (await answered(handler, request)).model_dump_json().encode()

            self.broker.subscriber(
                query.SUBJECT, queue=self.service, max_workers=64, decoder=decoded
            )(answer)
            return handler

        return register

    def overhears(self, handler: Callable[[DraftProgress], Awaitable[None]]) -> None:
        """Hear of drafts in progress, as ``tell`` says them."""

        async def decoded(message: NatsMessage) -> DraftProgress:
            return DraftProgress.model_validate_json(message.body)

        self.broker.subscriber(f"{DraftProgress.PREFIX}.>", decoder=decoded)(handler)

    async def say(self, event: Event) -> None:
        """Publish ``event`` and wait for the stream's word; a repetition is dropped there.

        Raises ``BrokerDown`` when the broker does not confirm or its stream is full, and
        ``Invalid`` when the event is larger than the stream takes.
        """
        with tracing.saying(event) as carried:
            await self._publish(carried)
        telemetry.said(event)
        named = identifiers(event) | tracing.named(carried)
        if "stage" in structlog.contextvars.get_contextvars():
            structlog.contextvars.bind_contextvars(**named)  # of mail.received nobody knew them
        else:
            log.info("said", event_id=str(event.id), event_type=event.type, **named)

    async def _publish(self, event: Event) -> None:
        body = event.model_dump_json().encode()
        if len(body) > self._connection.max_payload:
            raise Invalid(f"{event.type} of {len(body)} bytes is larger than the broker takes")
        try:
            await self._jetstream.publish(
                event.nats_subject(),
                body,
                timeout=PUBLISH_TIMEOUT,
                stream=stream_of(type(event)).name,
                headers={"Nats-Msg-Id": str(event.id), "content-type": MEDIA_TYPE},
            )
        except APIError as error:
            if error.err_code == TOO_LARGE:
                raise Invalid(f"{event.type} of {len(body)} bytes is too large: {error}") from error
            raise BrokerDown(f"stream refuses {event.type}: {error.description}") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerDown(f"broker did not confirm {event.type}: {error!r}") from error

    async def tell(self, progress: DraftProgress) -> None:
        """Publish to whoever listens now; while the broker is away it is lost."""
        if self._connection.is_connected:
            with suppress(NatsError, OSError):
                body = progress.model_dump_json().encode()
                await self._connection.publish(progress.subject(), body)

    async def ask(self, query: Query, answer: type[A], timeout: float = 5.0) -> A:
        """Ask another service and wait ``timeout`` s.

        Raises ``Unavailable`` without an answer, ``Invalid`` when the request is refused.
        """
        carried = query.model_copy(update={"traceparent": tracing.traceparent()})
        try:
            reply = await self._connection.request(
                query.SUBJECT, carried.model_dump_json().encode(), timeout=timeout
            )
        except NoRespondersError as error:
            raise Unavailable(f"nobody answers {query.SUBJECT}") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise Unavailable(f"no answer on {query.SUBJECT} in {timeout} s: {error!r}") from error
        return read(reply.data, answer)

    async def connect(self) -> None:
        """Connect (waiting for the broker as long as it takes) and check the topology."""
        self._connection = await self.broker.connect()
        self._jetstream = self._connection.jetstream()
        found = await differences(self._jetstream, self._config, [s for s, _ in self._stages])
        if found:
            raise TopologyDiffers(
                "the broker differs from the topology; run `sourcier topology apply`:\n  "
                + "\n  ".join(found)
            )

    async def start(self) -> None:
        """Subscribe and begin to fetch."""
        for stage, handle in self._stages:
            worker = Worker(self._connection, stage, handle, self.say, self._answering)
            puller = Puller(self._connection, stage, worker)
            worker.puller = puller
            await puller.open()
            self._pullers[stage.durable] = puller
        await self.broker.start()
        for puller in self._pullers.values():
            puller.start()
        self._checks = asyncio.create_task(self._check(), name="check consumers")

    async def stop(self) -> None:
        """Stop fetching, finish or hand back what is in hand, flush, close."""
        if self._checks:
            self._checks.cancel()
        deadline = self._config.delivery.drain
        handed_back = await asyncio.gather(*(p.stop(deadline) for p in self._pullers.values()))
        log.info("drained", handed_back=sum(handed_back))
        if self._connection.is_connected or self._connection.is_closed:
            await self.broker.stop()
        else:
            log.warning("broker gone: it will deliver again what was in hand")
            with suppress(OSError):  # closing what is broken already
                await self._connection.close()

    def silence(self) -> float:
        """Seconds since the broker last served the slowest stage: the age that liveness is."""
        if not self._pullers:
            return 0.0
        # A stage with all slots taken asks for nothing, so nothing is heard: that is no silence.
        asking = [p.last_fetch for p in self._pullers.values() if p.asking]
        return time.monotonic() - min([self._checked, *asking])

    async def problems(self) -> dict[str, str]:
        """What the service needs and does not answer, by name, with the reason."""
        found: dict[str, str] = {}
        for name, probe in self.needs.items():
            try:
                async with asyncio.timeout(PROBE_TIMEOUT):
                    await probe()
            except (Unavailable, TimeoutError) as error:
                found[name] = str(error) or f"no answer in {PROBE_TIMEOUT} s"
        return found

    async def _answering(self) -> bool:
        return bool(self.needs) and not await self.problems()

    async def _check(self) -> None:
        """Ask for consumers' and streams' state: lag, fill, and proof that they still exist."""
        while True:
            try:
                for stage, _ in self._stages:
                    info = await self._jetstream.consumer_info(stage.stream.name, stage.durable)
                    telemetry.PENDING.labels(stage.durable).set(info.num_pending or 0)
                for stream in STREAMS:
                    told = await self._jetstream.stream_info(stream.name)
                    state, limit = told.state, told.config.max_bytes or 0
                    telemetry.holds(stream.name, state.messages, state.bytes, limit)
                self._checked = time.monotonic()
            except (NatsError, TimeoutError) as error:
                log.warning("consumers not seen", error=repr(error))
            await asyncio.sleep(CHECK_EVERY)

    async def _failed(self, error: Exception) -> None:
        log.warning("broker connection", error=repr(error))

    async def _disconnected(self) -> None:
        log.warning("broker disconnected")

    async def _reconnected(self) -> None:
        log.info("broker reconnected")
        for puller in self._pullers.values():
            puller.renew()

    async def _closed(self) -> None:
        self.closed.set()
