"""An SMTP or LMTP server for the mail system beside us: its queue is the one that keeps mail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Session
from aiosmtpd.smtp import Envelope as Delivery

from services.mail.service import Intake
from shared.bridge import Listen
from shared.delivery import Invalid, Unavailable
from shared.records import Envelope
from shared.settings import Misconfigured

log = structlog.get_logger()
LINE = 1024 * 1024
"""Bytes of a line: some programs write HTML in one, far beyond the 998 that are allowed."""
UNKNOWN = "550 5.1.1 no mailbox has this address; see mailboxes.*.addresses in sourcier.toml"


class _Smtp(SMTP):
    line_length_limit = LINE


class _Lmtp(LMTP):
    line_length_limit = LINE


class Deliveries:
    """What the servers do with an e-mail: 250 only after the broker's word."""

    def __init__(self, intake: Intake, mailboxes: Mapping[str, str], each: bool) -> None:
        """``mailboxes`` by address in lower case; ``each``: one answer per recipient (LMTP)."""
        self._intake = intake
        self._mailboxes = mailboxes
        self._each = each

    async def handle_RCPT(
        self, server: SMTP, session: Session, delivery: Delivery, address: str, options: list[str]
    ) -> str:
        if address.lower() not in self._mailboxes:
            return UNKNOWN
        delivery.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, delivery: Delivery) -> str:
        raw = delivery.original_content or b""
        recipients = tuple(delivery.rcpt_tos)
        # The library writes the empty return path of bounces with its brackets.
        mail_from = (delivery.mail_from or "").removeprefix("<>")
        envelope = Envelope(mail_from=mail_from, rcpt_to=recipients)
        boxes = [self._mailboxes[address.lower()] for address in recipients]
        answers = {box: await self._take(box, raw, envelope) for box in dict.fromkeys(boxes)}
        if self._each:
            return "\r\n".join(answers[box] for box in boxes)
        # One answer for all: the worst. What went well already is known again when it comes again.
        return max(answers.values())

    async def _take(self, mailbox: str, raw: bytes, envelope: Envelope) -> str:
        try:
            identity = await self._intake.take(mailbox, raw, envelope)
        except Unavailable as error:
            log.warning("e-mail put off", mailbox=mailbox, reason=str(error))
            return "451 4.3.0 the event bus does not answer, try again later"
        except Invalid as error:
            log.error("e-mail refused", mailbox=mailbox, reason=str(error))
            return f"554 5.6.0 {error}"
        return f"250 2.0.0 taken as {identity}"


async def bind(
    config: Listen, intake: Intake, mailboxes: Mapping[str, str]
) -> list[asyncio.Server]:
    """The servers that ``config`` asks for; they answer once ``start_serving`` was called.

    Raises Misconfigured when a port is taken.
    """
    servers: list[asyncio.Server] = []
    loop = asyncio.get_running_loop()
    kinds: tuple[tuple[type[SMTP], int | None], ...] = ((_Smtp, config.smtp), (_Lmtp, config.lmtp))
    for kind, port in kinds:
        deliveries = Deliveries(intake, mailboxes, kind is _Lmtp)

        def session(kind: type[SMTP] = kind, handler: Deliveries = deliveries) -> SMTP:
            return kind(handler, data_size_limit=intake.max_bytes, loop=loop, ident="Sourcier")

        try:
            if port is not None:
                make = loop.create_server(session, config.host, port, start_serving=False)
                servers.append(await make)
        except OSError as error:
            raise Misconfigured(f"[bridge.listen] port {port}: {error.strerror}") from error
    return servers
