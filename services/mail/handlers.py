"""What the bridge hears."""

from __future__ import annotations

from services.mail.service import Replies
from shared import topology
from shared.bus import Bus
from shared.events import ReplyApproved


def register(bus: Bus, replies: Replies) -> None:
    """Subscribe the use case to its stage."""

    @bus.hears(topology.MAIL_REPLY)
    async def reply_approved(event: ReplyApproved) -> None:
        said = await replies.deliver(event)
        if said is not None:
            await bus.say(said)
