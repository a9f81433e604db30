"""Asks for another draft of an e-mail and, when wanted, waits for it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from shared.cli.client import Heard, connected
from shared.cli.outcomes import Outcome, outcome_of
from shared.cli.problem import Problem
from shared.cli.web import feedback
from shared.cli.where import Where
from shared.delivery import Invalid
from shared.document_events import MessageDead
from shared.events import DraftDeclined, DraftReady, DraftRequested
from shared.registry import decode
from shared.topology import GENERATE_REQUEST

WATCHED = (
    ("DRAFT", "draft.ready.v1.>"),
    ("DRAFT", "draft.declined.v1.>"),
    ("DEAD", f"dead.{GENERATE_REQUEST.durable}"),
)

Asked = dict[str, Any]
"""As feedback answers: mail_id, mailbox, request_id."""


def ask(where: Where, draft_id: str, wish: dict[str, str]) -> Asked:
    """Ask feedback for another draft. Raises ``Problem`` in its words."""
    return dict(feedback(where, "POST", f"/v1/drafts/{draft_id}/regenerate", body=wish))


async def ask_and_wait(
    where: Where, draft_id: str, wish: dict[str, str], seconds: float
) -> Outcome:
    """Ask, then the new draft as an outcome. Raises ``Problem`` after ``seconds`` without one."""
    async with connected(where.settings) as client, client.watch(WATCHED) as heard:
        asked = await asyncio.to_thread(ask, where, draft_id, wish)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = await asyncio.wait_for(heard.get(), left)
            except TimeoutError:
                break
            if found := answer_to(asked, message):
                return found
    raise Problem(
        f"draft {asked['request_id']} of e-mail {asked['mail_id']} was asked for, but did not come"
        f" within {seconds:.0f} s: it may still; see `sourcier drafts` and `sourcier status`"
    )


def answer_to(asked: Asked, message: Heard) -> Outcome | None:
    """The outcome that ``message`` tells of the draft that was asked for, if it is about that."""
    try:
        event = decode(message.body)
        about = decode(event.data.payload) if isinstance(event, MessageDead) else event
    except Invalid:  # of a version that we do not know: not what we wait for
        return None
    if not isinstance(about, DraftReady | DraftDeclined | DraftRequested):
        return None
    wanted = (asked["mail_id"], asked["request_id"])
    if (str(about.data.mail.mail_id), about.data.request_id) != wanted:
        return None
    return asked | {"file": about.data.mail.subject} | outcome_of(event)
