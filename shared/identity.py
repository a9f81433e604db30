"""Deterministic ids: the same input always gives the same id, which makes effects happen once."""

from __future__ import annotations

import hashlib
import re
from email.parser import BytesHeaderParser
from email.policy import compat32
from uuid import UUID, uuid5

LOOP_HEADER = "X-Sourcier"
"""The header that replies of this system carry; an e-mail that has it is never answered."""
NAMESPACE = UUID("6f1f6ad0-4d6b-5c39-9c0e-7a5b8f6f2f1c")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")


def sha256(data: bytes) -> str:
    """Lower-case hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def stable_id(*parts: str) -> UUID:
    """uuid5 over ``parts``; the separator cannot occur in slugs, ids or hashes."""
    return uuid5(NAMESPACE, "\x1f".join(parts))


def derived_id(parent: UUID, event_type: str, discriminator: str = "") -> UUID:
    """Id of an event caused by ``parent``."""
    return stable_id(str(parent), event_type, discriminator)


def message_id(raw: bytes) -> str:
    """Message-ID of a raw RFC 5322 message, without folding; empty when it has none."""
    header = BytesHeaderParser(policy=compat32).parsebytes(raw[: 256 * 1024]).get("Message-ID", "")
    found = _MESSAGE_ID.search(str(header))
    return found.group() if found else ""


def mail_id(mailbox: str, raw: bytes) -> UUID:
    """Mail id = uuid5(mailbox, Message-ID, SHA-256 of the raw mail)."""
    return stable_id("mail", mailbox, message_id(raw), sha256(raw))


def document_id(collection: str, locator: str) -> UUID:
    """Document id = uuid5(collection, url or submitted name)."""
    return stable_id("document", collection, locator)


def passage_id(document: UUID, content_hash: str, ordinal: int) -> UUID:
    """Passage id, which is also the index's point id: one per document version and ordinal."""
    return stable_id("passage", str(document), content_hash, str(ordinal))


def draft_id(mail: UUID, pipeline_fingerprint: str, request: int) -> UUID:
    """A draft is unique by mail, pipeline fingerprint and request (0 for the first)."""
    return stable_id("draft", str(mail), pipeline_fingerprint, str(request))


def short_hash(*parts: str) -> str:
    """First 16 hexadecimal digits of SHA-256 over ``parts``: a fingerprint."""
    return sha256("\x1f".join(parts).encode())[:16]
