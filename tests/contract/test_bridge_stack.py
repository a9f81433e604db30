"""The local stack with ``[bridge]`` configured: one service more, with its own rights."""

from __future__ import annotations

import asyncio
import json
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from deploy.local.process import free_ports
from shared.cli.where import running_state
from tests.contract.bridge_servers import MailServer
from tests.contract.test_bridge_process import ADDRESS, RAW, approved

START = (
    "import sys, deploy.local.supervisor as s, deploy.local.stack as t; "
    "t.SERVICES = (); sys.exit(s.main())"
)


class Running:
    """The supervisor of a stack whose only service is the bridge."""

    def __init__(self, data: Path, smtp: int, listen: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data, self.listen = data, listen
        sender = {"host": "127.0.0.1", "port": smtp, "security": "none", "sender": ADDRESS}
        bridge = {"listen": {"smtp": listen}, "outgoing": {"default": sender}}
        monkeypatch.setenv("SOURCIER_BRIDGE", json.dumps(bridge))
        boxes = {"default": {"addresses": [ADDRESS]}}
        monkeypatch.setenv("SOURCIER_MAILBOXES", json.dumps(boxes))
        command = [sys.executable, "-c", START, "--data", str(data)]
        self.process = subprocess.Popen(command)

    def state(self) -> dict[str, Any]:
        """The stack's state once the bridge is ready."""
        for _ in range(600):
            state = running_state(self.data)
            if state and state["state"] == "running":
                return state
            assert self.process.poll() is None, "the supervisor ended"
            time.sleep(0.1)
        raise AssertionError((self.data / "logs" / "mail.log").read_text()[-3000:])

    def deliver(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.listen, timeout=10) as client:
            client.sendmail("a@b.example", [ADDRESS], RAW % 1)


@pytest.fixture
def ports() -> list[int]:
    return free_ports(1)


@pytest.fixture
def running(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Running, MailServer]]:
    smtp = MailServer()
    made = Running(tmp_path / "data", smtp.port, ports[0], monkeypatch)
    yield made, smtp
    made.process.terminate()
    made.process.wait(60)


async def test_the_bridge_says_and_hears_with_its_own_key(
    running: tuple[Running, MailServer],
) -> None:
    stack, smtp = running
    await smtp.start()
    state = await asyncio.to_thread(stack.state)
    assert set(state["services"]) == {"mail"}
    seed = stack.data / "secrets" / "operator.nk"
    client = await nats.connect(state["environment"]["SOURCIER_NATS__URL"], nkeys_seed=str(seed))
    jetstream = client.jetstream()
    await asyncio.to_thread(stack.deliver)
    taken = await jetstream.get_last_msg("MAIL", "mail.received.v1.default")
    assert json.loads(taken.data or b"")["source"] == "mail"
    event = approved()
    await jetstream.publish(event.nats_subject(), event.model_dump_json().encode())
    sent = await jetstream.subscribe("reply.sent.>", stream="DRAFT", ordered_consumer=True)
    message = await sent.next_msg(timeout=20)
    assert json.loads(message.data)["data"]["reply_id"] == str(event.data.reply_id)
    assert len(smtp.taken) == 1
    await client.close()
    await smtp.stop()
