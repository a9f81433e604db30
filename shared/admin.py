"""Declares streams and consumers from the topology, and says how a broker differs from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import nats
from faststream.nats.security import NatsNKey
from faststream.security import BaseSecurity, SASLPlaintext
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from shared import settings
from shared.topology import BRIDGE_STAGES, DEAD, DUPLICATE_WINDOW, STAGES, STREAMS, Stage, Stream

MAX_MESSAGE = 512 * 1024
"""Largest message of a stream in bytes; its dead letter (base64) still fits max_payload."""
MAX_ACK_PENDING = 1024
"""Across all replicas: each asks only for its free slots, so nothing waits unworked."""
DAY = 86_400.0


def stream_config(stream: Stream, config: settings.Streams) -> api.StreamConfig:
    """The stream as it should be: limits retention, discard new, on disk."""
    dead = stream is DEAD
    return api.StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=api.RetentionPolicy.LIMITS,
        discard=api.DiscardPolicy.NEW,
        storage=api.StorageType.FILE,
        max_bytes=config.max_bytes,
        max_age=(config.dead_max_age_days if dead else config.max_age_days) * DAY,
        max_msg_size=-1 if dead else MAX_MESSAGE,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=config.replicas,
    )


def consumer_config(stage: Stage) -> api.ConsumerConfig:
    """The consumer as it should be. ``max_deliver`` is -1: ``decide`` caps the attempts."""
    return api.ConsumerConfig(
        durable_name=stage.durable,
        filter_subject=stage.subject,
        deliver_policy=api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=stage.ack_wait,
        max_deliver=-1,
        max_ack_pending=MAX_ACK_PENDING,
    )


def declared(config: settings.Settings) -> tuple[Stage, ...]:
    """The stages of this installation."""
    return (*STAGES, *BRIDGE_STAGES) if config.bridge.outgoing else STAGES


async def apply(config: settings.Settings, stages: Sequence[Stage] = ()) -> list[str]:
    """Make the broker as the topology says. Returns what was changed, in words."""
    stages = stages or declared(config)
    connection = await nats.connect(config.nats.url, **credentials(config.nats))
    try:
        jetstream = connection.jetstream()
        changed = await differences(jetstream, config, stages)
        for stream in STREAMS:
            wanted = stream_config(stream, config.streams)
            try:
                await jetstream.stream_info(stream.name)
                await jetstream.update_stream(wanted)
            except NotFoundError:
                await jetstream.add_stream(wanted)
        for stage in stages:
            await jetstream.add_consumer(stage.stream.name, consumer_config(stage))
        return changed
    finally:
        await connection.close()


async def check(config: settings.Settings) -> list[str]:
    """How the broker differs from the whole topology; empty when it does not."""
    connection = await nats.connect(config.nats.url, **credentials(config.nats))
    try:
        return await differences(connection.jetstream(), config, declared(config))
    finally:
        await connection.close()


async def differences(
    jetstream: JetStreamContext, config: settings.Settings, stages: Sequence[Stage]
) -> list[str]:
    """One line for each setting of a stream or consumer that is not as it should be."""
    found: list[str] = []
    for stream in STREAMS:
        wanted = stream_config(stream, config.streams)
        try:
            info = await jetstream.stream_info(stream.name)
        except NotFoundError:
            found.append(f"stream {stream.name}: missing")
            continue
        found += _compared(f"stream {stream.name}", wanted, info.config)
    for stage in stages:
        label = f"consumer {stage.stream.name}/{stage.durable}"
        try:
            state = await jetstream.consumer_info(stage.stream.name, stage.durable)
        except NotFoundError:
            found.append(f"{label}: missing")
            continue
        found += _compared(label, consumer_config(stage), state.config)
    return found


def _compared(label: str, wanted: Any, actual: Any) -> list[str]:
    """Fields that ``wanted`` sets and ``actual`` has otherwise."""
    have = asdict(actual)
    return [
        f"{label}: {name} is {have.get(name)!r}, should be {value!r}"
        for name, value in asdict(wanted).items()
        if value is not None and have.get(name) != value
    ]


def credentials(config: settings.Nats) -> dict[str, Any]:
    """Keyword arguments of ``nats.connect`` that identify us."""
    if config.nkey_seed:
        return {"nkeys_seed": str(config.nkey_seed)}
    if config.user and config.password:
        return {"user": config.user, "password": config.password.get_secret_value()}
    return {}


def security(config: settings.Nats) -> BaseSecurity | None:
    """The same for FastStream."""
    if config.nkey_seed:
        return NatsNKey.from_file(str(config.nkey_seed))
    if config.user and config.password:
        return SASLPlaintext(config.user, config.password.get_secret_value())
    return None
