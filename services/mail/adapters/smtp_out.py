"""Sends by SMTP: intention before DATA, and no guess about what happened after it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

import aiosmtplib
from aiosmtplib import SMTP, SMTPResponseException

from services.mail.adapters import accounts
from services.mail.adapters.dkim import Signer
from services.mail.composing import Letter
from services.mail.headers import sender
from services.mail.service import Ambiguous, PutOff, Refused, Step
from shared.bridge import Outgoing
from shared.delivery import Unavailable

PORTS = {"tls": 465, "starttls": 587, "none": 25}
ABOUT_US = {421, 530, 535}
"""Answers that are about the connection or the login, not about the e-mail."""


class SmtpMailer:
    """The Protocol ``Mailer``, a connection for each reply."""

    def __init__(self, config: Outgoing) -> None:
        """Raises Misconfigured when its key cannot sign."""
        self._config = config
        domain = sender(config.sender).domain
        self._signer = Signer(config.dkim, domain) if config.dkim else None
        self._port = config.port or PORTS[config.security]
        self._where = f"SMTP server {config.host}:{self._port}"
        self.sender = config.sender
        self.patience_hours = config.patience_hours

    async def send(self, letter: Letter, before_data: Step) -> Literal["sent"]:
        client = self._client()
        content = self._signer.signed(letter.content) if self._signer else letter.content
        try:
            await self._envelope(client, letter)
            await before_data()
            await _content(client, content)
            with suppress(aiosmtplib.SMTPException, OSError):  # it has the e-mail already
                await client.quit(timeout=2)
        finally:
            client.close()
        return "sent"

    async def look(self) -> None:
        """Log in and out. Raises Unavailable."""
        client = self._client()
        try:
            await self._connect(client)
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=2)
        finally:
            client.close()

    async def _connect(self, client: SMTP) -> None:
        where = self._where
        try:
            await client.connect()
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Unavailable(f"{where} refuses our login: {error.code} {error.message}") from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"{where}: {error or type(error).__name__}") from error

    async def _envelope(self, client: SMTP, letter: Letter) -> None:
        """Everything up to the answers to RCPT: one refused recipient refuses the e-mail."""
        where = self._where
        await self._connect(client)
        try:
            await client.mail(letter.sender)
            for recipient in letter.recipients:
                await client.rcpt(recipient)
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientRefused) as error:
            if error.code in ABOUT_US or not 400 <= error.code < 600:
                raise Unavailable(f"{where}: {error.code} {error.message}") from error
            raise _answer(error) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"{where}: {error or type(error).__name__}") from error

    def _client(self) -> SMTP:
        config = self._config
        path = config.token_file

        async def fresh() -> str:
            assert path is not None  # noqa: S101 - for the type checker: only called with one
            return await asyncio.to_thread(accounts.token, path)

        return SMTP(
            hostname=config.host,
            port=self._port,
            use_tls=config.security == "tls",
            start_tls=config.security == "starttls",
            tls_context=None if config.security == "none" else accounts.tls(config),
            username=config.user or None,
            password=config.password.get_secret_value() if config.password else None,
            oauth_token_generator=fresh if path else None,
            timeout=config.timeout,
        )


async def _content(client: SMTP, content: bytes) -> None:
    try:
        await client.data(content)
    except SMTPResponseException as error:
        raise _answer(error) from error
    except Exception as error:
        raise Ambiguous(repr(error)) from error


def _answer(error: SMTPResponseException) -> Exception:
    """By the server's own word; a code that is none says nothing about the e-mail."""
    told = f"{error.code} {error.message}"
    if 500 <= error.code < 600:
        return Refused(f"Le serveur de messagerie refuse l'envoi : {told}")
    return PutOff(told) if 400 <= error.code < 500 else Ambiguous(told)
