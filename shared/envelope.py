"""The CloudEvents 1.0 envelope every event travels in (structured JSON mode).

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self, TypeVar
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    EncodedBytes,
    EncoderProtocol,
    Field,
    StringConstraints,
)

from shared.identity import derived_id

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", max_length=64)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ObjectKey = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class StrictBase64(EncoderProtocol):
    """RFC 4648 base64 on one line; pydantic's own skips wrong characters and breaks lines."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ValueError(f"not base64: {error}") from error

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return base64.b64encode(value)

    @classmethod
    def get_json_format(cls) -> Literal["base64"]:
        return "base64"


InlineBytes = Annotated[bytes, EncodedBytes(encoder=StrictBase64)]
"""Bytes as base64 in JSON; constructed from base64 too, holds the decoded bytes."""

INLINE_LIMIT = 256 * 1024
"""Bytes of a body that may travel inside an event; larger ones go by object key (claim check)."""


EventT = TypeVar("EventT", bound="Event")


class Frozen(BaseModel):
    """Base of all contract models: immutable, and tolerant of fields a later minor version adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Frozen):
    """One CloudEvent. A subclass fixes ``type`` and narrows ``data``.

    ``subject`` is the mail or document id; ``source`` is the service's name;
    ``id`` of an event caused by another is derived from it, so a redelivered
    input says the same event again and the broker drops it as a duplicate.
    """

    TYPE: ClassVar[str]

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str = Field(min_length=1)
    type: str
    subject: str
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    traceparent: str | None = None
    data: Frozen

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.TYPE = str(cls.model_fields["type"].default)

    @classmethod
    def nats_prefix(cls) -> str:
        """Subject without its last token, such as ``mail.accepted.v1``."""
        return cls.TYPE.removeprefix("sourcier.")

    @classmethod
    def make(
        cls,
        *,
        source: str,
        subject: str,
        time: datetime,
        data: Frozen,
        id: UUID,
        traceparent: str | None = None,
    ) -> Self:
        """A first event of a journey (one that no other event caused)."""
        return cls(
            id=id,
            source=source,
            type=cls.TYPE,
            subject=subject,
            time=time,
            dataschema=f"urn:{cls.TYPE.replace('.', ':')}",
            traceparent=traceparent,
            data=data,
        )

    def nats_subject(self) -> str:
        """Where the event is published; its last token is the mailbox or collection."""
        return f"{self.nats_prefix()}.{self.route()}"

    def route(self) -> str:
        """The mailbox or collection slug that closes the NATS subject."""
        raise NotImplementedError


def caused(
    parent: Event,
    kind: type[EventT],
    *,
    source: str,
    time: datetime,
    data: Frozen,
    subject: str | None = None,
    discriminator: str = "",
) -> EventT:
    """The event ``kind`` that ``parent`` gives rise to, with its deterministic id."""
    return kind.make(
        source=source,
        subject=subject or parent.subject,
        time=time,
        data=data,
        id=derived_id(parent.id, kind.TYPE, discriminator),
        traceparent=parent.traceparent,
    )
