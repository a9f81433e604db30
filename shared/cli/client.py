"""The broker as the ``sourcier`` command uses it: the only CLI module that knows nats-py."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError
from pydantic import BaseModel, ValidationError

from shared import admin, settings
from shared.cli.problem import Problem
from shared.envelope import Event
from shared.queries import Query, Refusal
from shared.topology import STAGES, STREAMS, stream_of

A = TypeVar("A", bound=BaseModel)
NO_STORAGE = 10047
"""JetStream's error code for streams that would reserve more than the disk has."""
DOWN = "start the stack with `sourcier up`, or see `sourcier status`"


@dataclass(frozen=True)
class Heard:
    """One message of a stream."""

    subject: str
    sequence: int
    body: bytes


class BusClient:
    """A connection as operator."""

    def __init__(self, connection: Client) -> None:
        self._connection = connection
        self._jetstream: JetStreamContext = connection.jetstream(timeout=10)

    async def say(self, event: Event) -> int:
        """Publish ``event``; returns its sequence number. Raises ``Problem``."""
        body = event.model_dump_json().encode()
        return await self.publish(
            event.nats_subject(), body, str(event.id), stream_of(type(event)).name
        )

    async def publish(self, subject: str, body: bytes, message_id: str, stream: str) -> int:
        """Publish and wait for the stream's word. Raises ``Problem``."""
        headers = {"Nats-Msg-Id": message_id, "content-type": "application/cloudevents+json"}
        try:
            ack = await self._jetstream.publish(
                subject, body, timeout=10, stream=stream, headers=headers
            )
        except APIError as error:
            raise Problem(f"stream {stream} refuses the message: {error.description}") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise Problem(f"the broker did not confirm ({error!r}); {DOWN}") from error
        return ack.seq

    async def ask(self, query: Query, answer: type[A], seconds: float = 10) -> A:
        """An interactive request. Raises ``Problem`` when it is refused or nobody answers."""
        body = query.model_dump_json().encode()
        try:
            reply = await self._connection.request(query.SUBJECT, body, timeout=seconds)
        except NoRespondersError as error:
            raise Problem(f"no service answers {query.SUBJECT}; {DOWN}") from error
        except (NatsError, TimeoutError) as error:
            raise Problem(f"no answer on {query.SUBJECT} in {seconds:.0f} s; {DOWN}") from error
        try:
            refusal = Refusal.model_validate_json(reply.data)
        except ValidationError:
            return answer.model_validate_json(reply.data)
        raise Problem(f"refused: {refusal.detail}")

    @asynccontextmanager
    async def watch(self, wanted: Iterable[tuple[str, str]]) -> AsyncIterator[asyncio.Queue[Heard]]:
        """Everything said from now on, on the given (stream, subject) pairs, each in order."""
        heard: asyncio.Queue[Heard] = asyncio.Queue()

        async def take(msg: Msg) -> None:
            sequence = msg.metadata.sequence.stream
            heard.put_nowait(Heard(msg.subject, sequence, msg.data))

        open_ones = [
            await self._jetstream.subscribe(
                subject,
                stream=stream,
                cb=take,
                ordered_consumer=True,
                # one each: subscribe() writes into it
                config=ConsumerConfig(deliver_policy=DeliverPolicy.NEW),
            )
            for stream, subject in wanted
        ]
        try:
            yield heard
        finally:
            for each in open_ones:
                await each.unsubscribe()

    async def finished_with(self, stream: str, durable: str) -> int:
        """Sequence number up to which a consumer has finished everything."""
        info = await self._jetstream.consumer_info(stream, durable)
        return info.ack_floor.stream_seq if info.ack_floor else 0

    async def last_sequence(self, stream: str, subject: str) -> int:
        """Sequence number of the last message on ``subject``; 0 when there is none."""
        try:
            found = await self._jetstream.get_last_msg(stream, subject)
        except NotFoundError:
            return 0
        return found.seq or 0

    async def messages(self, stream: str) -> list[Heard]:
        """All messages that ``stream`` holds, oldest first."""
        info = await self._jetstream.stream_info(stream)
        found: list[Heard] = []
        sequence = info.state.first_seq
        while len(found) < info.state.messages:
            try:
                message = await self._jetstream.get_msg(stream, sequence, next=True, subject=">")
            except NotFoundError:  # deleted meanwhile
                break
            sequence = (message.seq or sequence) + 1
            found.append(Heard(message.subject or "", message.seq or 0, message.data or b""))
        return found

    async def message(self, stream: str, sequence: int) -> Heard:
        """One message. Raises ``Problem`` when there is none of that number."""
        try:
            found = await self._jetstream.get_msg(stream, sequence)
        except NotFoundError as error:
            raise Problem(f"{stream} holds no message {sequence}") from error
        return Heard(found.subject or "", sequence, found.data or b"")

    async def forget(self, stream: str, sequence: int) -> None:
        """Delete one message."""
        await self._jetstream.delete_msg(stream, sequence)

    async def server(self) -> tuple[tuple[int, int, int], datetime | None]:
        """The server's version, and its clock as JetStream tells it with a stream."""
        found = self._connection.connected_server_version
        subject = f"$JS.API.STREAM.INFO.{STREAMS[0].name}"
        told = json.loads((await self._connection.request(subject, timeout=5)).data).get("ts")
        clock = datetime.fromisoformat(told) if told else None
        return (found.major, found.minor, found.patch), clock

    async def figures(self) -> dict[str, list[dict[str, Any]]]:
        """Messages and bytes of each stream; waiting, in hand and repeated of each consumer."""
        streams, consumers = [], []
        for stream in STREAMS:
            info = await self._jetstream.stream_info(stream.name)
            state = info.state
            streams.append(
                {"name": stream.name, "messages": state.messages, "bytes": state.bytes}
                | {"max_bytes": info.config.max_bytes}
            )
        for stage in STAGES:
            seen = await self._jetstream.consumer_info(stage.stream.name, stage.durable)
            consumers.append(
                {"name": stage.durable, "stream": stage.stream.name}
                | {"waiting": seen.num_pending, "in_hand": seen.num_ack_pending}
                | {"redelivered": seen.num_redelivered}
            )
        return {"streams": streams, "consumers": consumers}


@asynccontextmanager
async def connected(config: settings.Settings) -> AsyncIterator[BusClient]:
    """A connection to the broker of ``config``. Raises ``Problem`` when there is none."""
    await _reach(config.nats.url)

    admitted = False

    async def quiet(error: Exception) -> None:
        """nats-py would print a traceback; what matters is raised by the call that failed."""
        if not admitted and "authorization" in str(error).lower():
            raise error  # it would try a wrong key again for a minute

    try:
        connection = await nats.connect(
            config.nats.url,
            connect_timeout=5,
            max_reconnect_attempts=30,
            error_cb=quiet,
            **admin.credentials(config.nats),
        )
    except (NatsError, OSError) as error:
        raise Problem(f"the broker at {config.nats.url} refuses us: {error}") from error
    admitted = True
    try:
        yield BusClient(connection)
    except NotFoundError as error:
        raise Problem(
            f"the broker lacks a stream or consumer ({error.description}); "
            "run `sourcier topology apply`"
        ) from error
    except APIError as error:
        raise Problem(f"the broker refuses: {error.description}{_hint(error)}") from error
    except (NatsError, TimeoutError) as error:
        raise Problem(f"the broker stopped answering ({error!r}); {DOWN}") from error
    finally:
        await connection.close()


def _hint(error: APIError) -> str:
    if error.err_code != NO_STORAGE:
        return ""
    return (
        "; each of the four streams reserves streams.max_bytes on disk: "
        "free some, or set a smaller one in sourcier.toml"
    )


async def _reach(url: str) -> None:
    """Fail at once, and in words, when nothing listens."""
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    try:
        _, writer = await asyncio.wait_for(
            asyncio.open_connection(parts.hostname, parts.port or 4222), 5
        )
    except (OSError, TimeoutError) as error:
        raise Problem(f"no broker answers at {url}; {DOWN}") from error
    writer.close()


def fresh_id() -> str:
    """A message id that the broker has not seen."""
    return str(uuid.uuid4())


def event_type(body: bytes) -> str:
    """The CloudEvents type of ``body``; empty when it is none."""
    try:
        return str(json.loads(body).get("type", ""))
    except (ValueError, AttributeError):
        return ""
