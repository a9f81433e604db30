"""Hands events on to an HTTP address: python webhook_relay.py URL [--subject 'draft.ready.v1.>']

Each event is a POST of the CloudEvent as it is (application/cloudevents+json), signed as
https://www.standardwebhooks.com says, with the secret WEBHOOK_SECRET (whsec_<base64>). Any answer
but 2xx (a redirect too), and none, is tried again with growing pauses for three days; meanwhile
others go on.
A consumer of its own: what is said while this program is down waits. NATS_URL and NATS_NKEY
(downstream.nk) say where.
"""

# ruff: noqa: T201 - a program that prints

import argparse
import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request

import nats
from nats.js.api import AckPolicy, ConsumerConfig

STREAM, DURABLE = "DRAFT", "webhook"
PAUSES = (1, 5, 30, 120, 600, 1800)
GIVE_UP = 3 * 86_400.0
AT_ONCE = 8


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is no 2xx either: followed, the POST would become a GET without the event."""

    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect)


def signature(secret, identity, timestamp, body):
    """The header ``webhook-signature``: HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode()


def post(url, secret, identity, body):
    """Whether the receiver took the event; what it answered, for the log."""
    now = str(int(time.time()))
    headers = {
        "content-type": "application/cloudevents+json",
        "webhook-id": identity,  # the event's own: the same when it is sent again
        "webhook-timestamp": now,
        "webhook-signature": signature(secret, identity, now, body),
    }
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - as configured
    try:
        with OPENER.open(request, timeout=20) as answer:
            return True, answer.status
    except urllib.error.HTTPError as error:
        return False, error.code
    except (OSError, http.client.HTTPException) as error:
        return False, repr(error)


async def relay(message, url, secret):
    identity = json.loads(message.data)["id"]
    taken, answer = await asyncio.to_thread(post, url, secret, identity, message.data)
    if taken:
        await message.ack()
        return
    age = time.time() - message.metadata.timestamp.timestamp()
    told = f"{identity}: {answer}, attempt {message.metadata.num_delivered}"
    if age > GIVE_UP:
        print(f"GIVEN UP {told}; replay it by its date", file=sys.stderr, flush=True)
        await message.term()
        return
    print(told, file=sys.stderr, flush=True)
    pause = PAUSES[min(message.metadata.num_delivered, len(PAUSES)) - 1]
    await message.nak(delay=pause)


async def main(url, subject, secret):
    client = await nats.connect(
        os.environ["NATS_URL"],
        nkeys_seed=os.environ["NATS_NKEY"],
        inbox_prefix=b"_INBOX_downstream",
        max_reconnect_attempts=-1,
    )
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    config = ConsumerConfig(
        name=DURABLE,
        durable_name=DURABLE,
        filter_subject=subject,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=60,
    )
    jetstream = client.jetstream()
    await jetstream.add_consumer(STREAM, config)  # as it is, when it is there already
    events = await jetstream.pull_subscribe_bind(DURABLE, STREAM)
    while not stopping.is_set():
        try:
            messages = await events.fetch(AT_ONCE, timeout=2)
        except TimeoutError:  # nothing yet
            continue
        await asyncio.gather(*(relay(message, url, secret) for message in messages))
    await client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--subject", default="draft.ready.v1.>", help="of the stream DRAFT")
    asked = parser.parse_args()
    asyncio.run(main(asked.url, asked.subject, os.environ["WEBHOOK_SECRET"]))
