"""Hands one e-mail in: python publish.py question.eml [mailbox]

NATS_URL and NATS_NKEY (a seed file) as for the other examples; needs `pip install nats-py[nkeys]`.
"""

# ruff: noqa: T201 - a program that prints

import asyncio
import base64
import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import nats


async def publish(raw: bytes, mailbox: str) -> str:
    client = await nats.connect(
        os.environ["NATS_URL"],
        nkeys_seed=os.environ["NATS_NKEY"],
        inbox_prefix=b"_INBOX_mailsystem",
    )
    identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{mailbox} {raw!r}"))  # the same if repeated
    event = {"specversion": "1.0", "id": identity, "source": "my-mail-system", "subject": identity}
    event |= {"type": "sourcier.mail.received.v1", "dataschema": "urn:sourcier:mail:received:v1"}
    event |= {"time": datetime.now(UTC).isoformat()}
    event |= {"data": {"mailbox": mailbox, "content": base64.b64encode(raw).decode()}}
    headers = {"Nats-Msg-Id": identity}
    body, subject = json.dumps(event).encode(), f"mail.received.v1.{mailbox}"
    await client.jetstream().publish(subject, body, timeout=5, headers=headers)
    await client.close()  # publish has returned: the e-mail is stored
    return identity


if __name__ == "__main__":
    where = sys.argv[2] if len(sys.argv) > 2 else "default"
    print(asyncio.run(publish(Path(sys.argv[1]).read_bytes(), where)))
