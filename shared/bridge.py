"""Settings of the bridge to mail systems, ``[bridge]``: IMAP and SMTP accounts by mailbox."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from shared.envelope import Slug
from shared.section import Section


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine; a name other than localhost is not looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Account(Section):
    """A server and who we are there; ``port`` is the protocol's own when it is not given.

    ``token_file`` holds an OAuth2 access token (XOAUTH2), read anew at each login: a program of
    the provider's keeps it fresh. ``timeout`` in seconds.
    """

    host: str
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["tls", "starttls", "none"] = "tls"
    ca_file: Path | None = None
    user: str = ""
    password: SecretStr | None = None
    token_file: Path | None = None
    timeout: float = Field(default=30, gt=0)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError(
                f"security = 'none' would send mail in clear to {self.host}: use 'tls' or"
                " 'starttls' (only a loopback address may go without)"
            )
        if self.password and self.token_file:
            raise ValueError("give 'password' or 'token_file', not both")
        if (self.password or self.token_file) and not self.user:
            raise ValueError("'password' and 'token_file' need 'user'")
        return self


class Incoming(Account):
    """An IMAP folder whose e-mails are handed in; ``poll`` (s) counts where IDLE is missing."""

    folder: str = "INBOX"
    after: Literal["flag", "seen", "move"] = "flag"
    """What shows that an e-mail was taken: ``keyword``, \\Seen, or its move to ``move_to``."""
    keyword: str = Field(default="$Sourcier", pattern=r"^[A-Za-z0-9$_-]+$")
    move_to: str | None = None
    backlog: bool = False
    """Whether the e-mails that lie there before the first start are taken too."""
    poll: float = Field(default=60, gt=0)

    @model_validator(mode="after")
    def _has_a_target(self) -> Self:
        if (self.after == "move") != (self.move_to is not None):
            raise ValueError("after = 'move' and 'move_to' go together")
        return self


class Signature(Section):
    """A DKIM signature; receivers ask the DNS for ``<selector>._domainkey.<domain>``."""

    selector: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")
    domain: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")
    """The sender's, when it is not given."""
    key_file: Path
    """A private key in PEM form, RSA or Ed25519."""


class Outgoing(Account):
    """Where approved replies go: sent by SMTP, or appended by IMAP to the folder of drafts."""

    mode: Literal["send", "append"] = "send"
    sender: str
    """``Name <address>`` that replies come from."""
    folder: str = "Drafts"
    patience_hours: float = Field(default=24, gt=0)
    """A server that puts a reply off longer is told as a failure."""
    dkim: Signature | None = None

    @model_validator(mode="after")
    def _signs_what_it_sends(self) -> Self:
        if self.dkim and self.mode != "send":
            raise ValueError(
                "'dkim' needs mode = 'send': a draft leaves from another program, which signs it"
            )
        return self


class Listen(Section):
    """A server on loopback, to which the mail system delivers (``transport``, ``sieve``)."""

    host: str = "127.0.0.1"
    smtp: int | None = Field(default=None, ge=1, le=65535)
    lmtp: int | None = Field(default=None, ge=1, le=65535)

    @model_validator(mode="after")
    def _loopback(self) -> Self:
        if not is_loopback(self.host):
            raise ValueError(f"'host' must be a loopback address, {self.host} is none")
        if self.smtp is None and self.lmtp is None:
            raise ValueError("give a port: 'smtp', 'lmtp' or both")
        return self


class Bridge(Section):
    """Accounts by mailbox, for mail systems that publish no events themselves."""

    incoming: dict[Slug, Incoming] = Field(default_factory=dict)
    outgoing: dict[Slug, Outgoing] = Field(default_factory=dict)
    listen: Listen | None = None

    @property
    def configured(self) -> bool:
        """Whether the service ``mail`` has anything to do."""
        return bool(self.incoming or self.outgoing or self.listen)
