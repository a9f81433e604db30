"""Prints each draft as a JSON line, once: python consume_drafts.py [--since 2026-11-03T00:00:00Z]

A durable consumer: what is said while this program is down waits for it. With --since it begins
again there, as far back as the stream reaches. NATS_URL and NATS_NKEY (downstream.nk) say where.
"""

# ruff: noqa: T201 - a program that prints

import argparse
import asyncio
import json
import os
import signal
from contextlib import suppress
from datetime import UTC, datetime

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

STREAM, DURABLE = "DRAFT", "crm"
REMEMBERED = 10_000


async def subscribed(client, since=None):
    """The subscription; with ``since`` the consumer is made anew, to begin there."""
    jetstream = client.jetstream()
    config = ConsumerConfig(
        name=DURABLE,
        durable_name=DURABLE,
        filter_subject="draft.ready.v1.>",  # or draft.ready.v1.<mailbox>
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=30,
    )
    if since:
        with suppress(NotFoundError):
            await jetstream.delete_consumer(STREAM, DURABLE)
        config.deliver_policy = DeliverPolicy.BY_START_TIME
        config.opt_start_time = since
    if since or not await exists(jetstream):
        await jetstream.add_consumer(STREAM, config)
    return await jetstream.pull_subscribe_bind(DURABLE, STREAM)


async def exists(jetstream):
    try:
        await jetstream.consumer_info(STREAM, DURABLE)
    except NotFoundError:
        return False
    return True


async def main(since=None):
    client = await nats.connect(
        os.environ["NATS_URL"],
        nkeys_seed=os.environ["NATS_NKEY"],
        inbox_prefix=b"_INBOX_downstream",
        max_reconnect_attempts=-1,
    )
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    drafts = await subscribed(client, since)
    seen = {}  # the last of this run; keep ids where your effects are, to be sure across runs
    while not stopping.is_set():
        try:
            messages = await drafts.fetch(10, timeout=2)
        except TimeoutError:  # nothing yet
            continue
        for message in messages:
            event = json.loads(message.data)
            if event["id"] not in seen:
                handle(event)
                seen[event["id"]] = None
                if len(seen) > REMEMBERED:
                    del seen[next(iter(seen))]  # the oldest: a dict keeps its order
            await message.ack()  # after the effect: a crash before it brings the draft again
    await client.close()


def handle(event):
    """What is to be done with a draft; fields that are not known yet are to be ignored."""
    data = event["data"]
    sources = [source["title"] for source in data["sources"]]
    told = {"event": event["id"], "mail": data["mail"]["mail_id"], "sources": sources}
    print(json.dumps(told, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--since", type=datetime.fromisoformat, help="ISO 8601, with a zone")
    wish = parser.parse_args().since
    asyncio.run(main(wish.astimezone(UTC).isoformat() if wish else None))
